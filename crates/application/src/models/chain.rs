//! In which order the models of a chain are asked, as they stand.

use std::time::Duration;

use majordomo_domain::ModelRef;

use super::cooldown::Standing;
use crate::ports::ModelError;

/// Longest wait for a model whose provider asked for a pause, when no other is left.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What to do about a model.
pub(super) enum Choice {
    /// Ask it, after this pause.
    Ask(ModelRef, Duration),
    /// Leave it alone because of what it answered before.
    Leave(ModelRef, ModelError),
}

/// Ready models in their order, then shaky ones; when all are barred, the one whose pause ends first, if that is soon.
/// A model that is not asked in its turn stands there as left alone.
pub(super) fn plan(chain: Vec<(ModelRef, Standing)>) -> Vec<Choice> {
    let any_ready = chain
        .iter()
        .any(|(_, standing)| *standing == Standing::Ready);
    let awaited = to_wait_for(&chain);
    let (mut plan, mut later) = (Vec::new(), Vec::new());
    for (place, (model, standing)) in chain.into_iter().enumerate() {
        match standing {
            Standing::Ready => plan.push(Choice::Ask(model, Duration::ZERO)),
            Standing::Shaky(error) => {
                if any_ready {
                    plan.push(Choice::Leave(model.clone(), error));
                }
                later.push(Choice::Ask(model, Duration::ZERO));
            }
            Standing::Barred(wait, _) if awaited == Some(place) => {
                later.push(Choice::Ask(model, wait));
            }
            Standing::Barred(_, error) => plan.push(Choice::Leave(model, error)),
        }
    }
    plan.append(&mut later);
    plan
}

/// The place of the model whose pause ends first, where that is soon and there is no other to ask.
fn to_wait_for(chain: &[(ModelRef, Standing)]) -> Option<usize> {
    let waits = chain.iter().map(|(_, standing)| match standing {
        Standing::Barred(wait, _) => Some(*wait),
        Standing::Ready | Standing::Shaky(_) => None,
    });
    let waits: Vec<Duration> = waits.collect::<Option<_>>()?;
    let (place, wait) = waits
        .into_iter()
        .enumerate()
        .min_by_key(|(_, wait)| *wait)?;
    (wait <= LONGEST_WAIT).then_some(place)
}
