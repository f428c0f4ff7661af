//! What a thread found out about the programs that it saw last. Many children share few parents.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Most programs that are remembered: a child, and the parents of some islands.
const REMEMBERED: usize = 8;

/// Findings by source text, the latest first.
pub struct Recent<T>(RefCell<VecDeque<(String, Rc<T>)>>);

impl<T> Recent<T> {
    pub const fn new() -> Self {
        Self(RefCell::new(VecDeque::new()))
    }

    /// What is known of `source`, or is found now. Failures are not remembered.
    pub fn get<E>(&self, source: &str, find: impl FnOnce() -> Result<T, E>) -> Result<Rc<T>, E> {
        if let Some(known) = self.recall(source) {
            return Ok(known);
        }
        // not borrowed meanwhile: finding out may ask again
        let found = Rc::new(find()?);
        let mut known = self.0.borrow_mut();
        known.truncate(REMEMBERED - 1);
        known.push_front((source.to_string(), found.clone()));
        Ok(found)
    }

    fn recall(&self, source: &str) -> Option<Rc<T>> {
        let mut known = self.0.borrow_mut();
        let at = known.iter().position(|(text, _)| text == source)?;
        let entry = known.remove(at)?;
        let found = entry.1.clone();
        known.push_front(entry);
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_often_stays() {
        let (recent, mut asked) = (Recent::new(), 0);
        for child in 0..20 {
            for source in ["parent".to_string(), format!("child {child}")] {
                let length = recent.get(&source, || {
                    asked += 1;
                    Ok::<_, ()>(source.len())
                });
                assert_eq!(length.as_deref(), Ok(&source.len()));
            }
        }
        assert_eq!(asked, 21, "the parent once, each child once");
        assert_eq!(recent.0.borrow().len(), REMEMBERED);
    }

    #[test]
    fn failures_are_tried_again() {
        let recent = Recent::new();
        assert_eq!(recent.get("x", || Err::<u8, _>("no")), Err("no"));
        assert_eq!(recent.get("x", || Ok::<_, &str>(1)).as_deref(), Ok(&1));
    }
}
