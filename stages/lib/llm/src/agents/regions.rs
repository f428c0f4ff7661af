//! A program from a reply that has the editable regions alone: the rest is the parent's, byte for byte.

use schemas::Factor;
use search::region::Region;

use super::splice;

/// The parent with the regions of a reply in place of its own; regions that the reply leaves out stay as they are. All
/// regions that the reply has are taken, those that it was not asked for too: whether an edit reaches too far is for `check`
/// to say.
///
/// `scope`: the factor that was asked for. Its lines may also come without their markers.
///
/// # Errors
/// What a second reply should do better.
pub fn assemble(parent: &str, factors: &[Factor], scope: Option<Factor>, reply: &str) -> Result<String, String> {
    let mut program = parent.to_owned();
    let mut found = false;
    for factor in factors {
        let Some(theirs) = Region::find(reply, *factor) else { continue };
        let own = Region::find(&program, *factor).ok_or_else(|| format!("the parent has no {factor} region"))?;
        let spliced = if theirs.indent == own.indent {
            splice::from_program(&program, own.range(), reply, theirs.range())
        } else {
            splice::from_fragment(&program, own.range(), theirs.text())
        };
        program = spliced.ok_or_else(|| format!("the {factor} region could not be taken over"))?;
        found = true;
    }
    if found {
        return Ok(program);
    }
    let half = factors.iter().find(|factor| reply.contains(&format!("BEGIN {factor} REGION")));
    match (half, scope) {
        (Some(factor), _) => {
            Err(format!("the {factor} region is not closed: its two marker lines must both stand there, once"))
        }
        (None, Some(factor)) => {
            let own = Region::find(parent, factor).ok_or_else(|| format!("the parent has no {factor} region"))?;
            let spliced = splice::from_fragment(parent, own.range(), reply);
            spliced.ok_or_else(|| format!("the {factor} region could not be taken over"))
        }
        (None, None) => Err("the code has no marker lines, so that nobody can tell which region it is".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "import torch\n\nclass P:\n    def f(self):\n        # ===== BEGIN OPERATOR REGION =====\n        a = 1\n        # ===== END OPERATOR REGION =====\n        # ===== BEGIN ACTION REGION =====\n        b = a\n        # ===== END ACTION REGION =====\n        return b\n";

    fn built(scope: Option<Factor>, reply: &str) -> Result<String, String> {
        assemble(PARENT, &Factor::PAPER, scope, reply)
    }

    #[test]
    fn regions_replace_their_own_and_nothing_else() {
        let action =
            "        # ===== BEGIN ACTION REGION =====\n        b = 2 * a\n        # ===== END ACTION REGION =====\n";
        let expected = PARENT.replace("b = a\n", "b = 2 * a\n");
        assert_eq!(built(Some(Factor::ACTION), action).unwrap(), expected);
        assert_eq!(built(None, action).unwrap(), expected);
        // at another depth
        let shallow: String = action.lines().map(|line| format!("{}\n", line.trim())).collect();
        assert_eq!(built(Some(Factor::ACTION), &shallow).unwrap(), expected);
        // without markers, where it is clear which region is meant
        assert_eq!(built(Some(Factor::ACTION), "b = 2 * a\n").unwrap(), expected);
        assert!(built(None, "b = 2 * a\n").unwrap_err().contains("which region"));
    }

    #[test]
    fn regions_that_were_not_asked_for_are_taken_too() {
        let both = "# ===== BEGIN OPERATOR REGION =====\na = 7\n# ===== END OPERATOR REGION =====\n# ===== BEGIN ACTION REGION =====\nb = -a\n# ===== END ACTION REGION =====\n";
        let expected = PARENT.replace("a = 1", "a = 7").replace("b = a\n", "b = -a\n");
        assert_eq!(built(Some(Factor::ACTION), both).unwrap(), expected);
        assert_eq!(built(None, both).unwrap(), expected);
    }

    #[test]
    fn half_a_region_is_none() {
        let half = "# ===== BEGIN ACTION REGION =====\nb = -a\n";
        assert!(built(Some(Factor::ACTION), half).unwrap_err().contains("not closed"));
    }
}
