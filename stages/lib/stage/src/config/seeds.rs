//! Seeds as they are set: how many, or which.

use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Seeds of trainings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seeds {
    /// So many, drawn for whom they are needed.
    Count(usize),
    /// These.
    List(Vec<u64>),
}

impl Seeds {
    /// How many.
    pub fn count(&self) -> usize {
        match self {
            Self::Count(count) => *count,
            Self::List(seeds) => seeds.len(),
        }
    }

    /// The seed at this place, where it is given.
    pub fn given(&self, index: usize) -> Option<u64> {
        match self {
            Self::Count(_) => None,
            Self::List(seeds) => seeds.get(index).copied(),
        }
    }

    /// Whether there is at least one, and none twice. JSON's readers have whole numbers up to 2^53.
    pub(super) fn sound(&self) -> bool {
        let mut sorted = match self {
            Self::Count(count) => return (1..=1000).contains(count),
            Self::List(seeds) => seeds.clone(),
        };
        let count = sorted.len();
        sorted.sort_unstable();
        sorted.dedup();
        count > 0 && sorted.len() == count && sorted.iter().all(|seed| *seed < 1 << 53)
    }
}

impl Serialize for Seeds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => count.serialize(serializer),
            Self::List(seeds) => seeds.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Seeds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Seeds;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seeds, or a list of them")
            }

            fn visit_i64<E: Error>(self, count: i64) -> Result<Seeds, E> {
                usize::try_from(count).map(Seeds::Count).map_err(|_| E::custom("a number of seeds is not negative"))
            }

            fn visit_u64<E: Error>(self, count: u64) -> Result<Seeds, E> {
                usize::try_from(count).map(Seeds::Count).map_err(|_| E::custom("that is too many seeds"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Seeds, A::Error> {
                let mut seeds = Vec::new();
                while let Some(seed) = list.next_element()? {
                    seeds.push(seed);
                }
                Ok(Seeds::List(seeds))
            }
        }

        deserializer.deserialize_any(Either)
    }
}
