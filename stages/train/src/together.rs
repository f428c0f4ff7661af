//! Trainings that one worker does as one computation.

use stage::job::{Group, Work};

use crate::{Job, hash};

/// The groups among some trainings: so many neighbours as each of them says, equal but for their seeds.
pub(crate) fn groups(works: &[Work<Job>]) -> Vec<Group<'_, Job>> {
    let mut groups = Vec::new();
    let mut rest = works;
    while let Some(first) = rest.first() {
        let (group, others) = rest.split_at(first.job.together.clamp(1, rest.len()));
        rest = others;
        let alike = |work: &Work<Job>| {
            let config = model::TrainConfig { seed: first.job.config.seed, ..work.job.config.clone() };
            work.job.together == group.len() && work.job.source == first.job.source && config == first.job.config
        };
        if group.len() > 1 && group.iter().all(alike) {
            let keys: Vec<&str> = group.iter().map(|work| work.key.as_str()).collect();
            let label = format!("{} and {} further seeds", first.label, group.len() - 1);
            let members = group.iter().map(|work| (work.key.as_str(), &work.job)).collect();
            groups.push(Group { key: hash(&keys), label, members });
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Program, settings, works};
    use stage::Config;

    #[test]
    fn neighbours_of_one_program_are_grouped_and_none_of_two() {
        let program = |source: &str| Program {
            label: source.into(),
            source: source.into(),
            graph_hash: source.into(),
            params: Vec::new(),
            candidate: Default::default(),
        };
        let config = Config::load(None, &["train.together=2".to_owned()], &[]).expect("valid");
        let settings: Vec<_> = (0..3).map(|seed| settings(&config, "dfs", seed)).collect();
        let of = |source: &str| works(&program(source), &settings, &config.train, "cpu");
        let all: Vec<_> = of("a").into_iter().chain(of("b")).collect();
        let found = groups(&all);
        let seeds = |group: &Group<'_, Job>| group.members.iter().map(|(_, job)| job.config.seed).collect::<Vec<_>>();
        assert_eq!(found.iter().map(seeds).collect::<Vec<_>>(), [[0, 1], [0, 1]]);
        assert_eq!(found[0].label, "a dfs seed 0 and 1 further seeds");
        assert_ne!(found[0].key, found[1].key);
        // One that has lost its neighbour is trained alone.
        assert!(groups(&all[1..3]).is_empty());
    }
}
