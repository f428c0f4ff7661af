//! When a search is over.

use std::fmt;

use crate::population::{Population, evaluated, fitness};

/// What ends a search before its generations are used up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct StopSettings {
    /// Proposals in total, not counting the seed program; 0: no limit.
    pub attempts: usize,
    /// A fitness that is good enough.
    pub target: Option<f64>,
    /// Evaluated candidates without a better one, after which to give up; 0: never.
    pub patience: usize,
    /// Candidates that training may be spent on; 0: no limit.
    pub evaluations: usize,
    /// Tokens of language models that the search may take; 0: no limit.
    pub tokens: u64,
    /// Tokens that the search has taken.
    pub spent_tokens: u64,
}

/// Why a search is over.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StopReason {
    /// All proposals were made.
    Attempts(usize),
    /// The best fitness reached the target.
    Target(f64),
    /// This many candidates were evaluated.
    Evaluations(usize),
    /// This many tokens were spent.
    Tokens(u64),
    /// This many candidates in a row were evaluated without finding a better one.
    Patience(usize),
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempts(count) => write!(f, "all {count} proposals are made"),
            Self::Evaluations(count) => {
                write!(f, "{count} candidates are evaluated, as many as search.evaluations allows")
            }
            Self::Tokens(count) => write!(f, "{count} tokens are spent, as many as search.tokens allows"),
            Self::Target(target) => write!(f, "the target fitness {target} is reached"),
            Self::Patience(count) => write!(f, "the last {count} evaluated candidates brought nothing better"),
        }
    }
}

/// Proposals that training was spent on.
#[must_use]
pub fn evaluations(population: &Population<'_>) -> usize {
    population.rows().iter().filter(|row| row.parent_id.is_some() && evaluated(row)).count()
}

/// Whether the search that made these rows is over, and why. Target goes before patience, patience before the budgets.
#[must_use]
pub fn stop(population: &Population<'_>, settings: &StopSettings) -> Option<StopReason> {
    let best = population.best()?;
    if let Some(target) = settings.target.filter(|&target| fitness(best).is_some_and(|f| f >= target)) {
        return Some(StopReason::Target(target));
    }
    let mut leader = None;
    let mut idle = 0;
    for row in population.scored().filter_map(|index| population.get(index)) {
        if leader.is_none_or(|old| fitness(row) > fitness(old)) {
            leader = Some(row);
            idle = 0;
        } else {
            idle += 1;
        }
    }
    if settings.patience > 0 && idle >= settings.patience {
        return Some(StopReason::Patience(idle));
    }
    let evaluated = evaluations(population);
    if settings.evaluations > 0 && evaluated >= settings.evaluations {
        return Some(StopReason::Evaluations(evaluated));
    }
    if settings.tokens > 0 && settings.spent_tokens >= settings.tokens {
        return Some(StopReason::Tokens(settings.spent_tokens));
    }
    let made = population.attempts_made();
    (settings.attempts > 0 && made >= settings.attempts).then_some(StopReason::Attempts(made))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::population::examples::scored;

    #[test]
    fn each_reason_stops() {
        let rows = [scored(0, 0, 0, 0.5), scored(1, 0, 0, 0.6), scored(1, 1, 0, 0.6), scored(1, 2, 0, 0.1)];
        let population = Population::new(&rows);
        let at = |settings| stop(&population, &settings);
        assert_eq!(at(StopSettings::default()), None);
        let three = StopSettings { attempts: 3, ..StopSettings::default() };
        assert_eq!(at(StopSettings { evaluations: 3, ..three }), Some(StopReason::Evaluations(3)));
        assert_eq!(at(StopSettings { tokens: 9, spent_tokens: 9, ..three }), Some(StopReason::Tokens(9)));
        assert_eq!(at(StopSettings { target: Some(0.6), patience: 2, ..three }), Some(StopReason::Target(0.6)));
        assert_eq!(at(StopSettings { target: Some(0.7), patience: 2, ..three }), Some(StopReason::Patience(2)));
        assert_eq!(at(StopSettings { patience: 3, ..three }), Some(StopReason::Attempts(3)));
        assert_eq!(at(StopSettings { attempts: 4, evaluations: 4, tokens: 9, spent_tokens: 8, ..three }), None);
        assert_eq!(stop(&Population::new(&[]), &StopSettings { attempts: 1, ..StopSettings::default() }), None);
    }
}
