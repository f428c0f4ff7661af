//! What the figures and tables show, as plain numbers: nothing here knows how it is drawn.

mod compare;
mod effects;
mod entanglement;
mod factors;
mod lineage;
mod losses;
mod progress;
pub mod smooth;
mod tradeoff;
mod transfer;

pub use compare::{Group, Reach, edits, group_runs, horizon, levels, mean_std};
pub use effects::{Effect, LEVEL, Outcome, area, baseline, budget, effects, least_p};
pub use entanglement::{Against, Outcomes, against, outcomes};
pub use factors::{FactorCounts, factor_name, factor_series, factors, factors_edited};
pub use lineage::{Step, lineage};
pub use losses::{Loss, losses};
pub use progress::{Evaluation, Rates, Spread, evaluations, rates, reached, spread};
pub use tradeoff::{Cost, Point, front, points};
pub use transfer::{Transferred, transferred};
