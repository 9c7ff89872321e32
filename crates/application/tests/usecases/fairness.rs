//! Who is served when not everybody can be.

use majordomo_application::chat::AgentConfig;
use majordomo_application::ports::ModelRequest;
use majordomo_testkit::{Gate, Script};

use crate::support::{Options, World, alice, caller, config, drain, say};

/// However much one user has queued, another's turn is at work as soon as a place is free.
#[tokio::test]
async fn five_hundred_turns_of_one_user_do_not_delay_anothers() {
    let gate = Gate::closed();
    let mut scripts = vec![Script::new().wait(&gate).text("a").finish(); 2];
    scripts.extend((0..499).map(|_| Script::answer("x")));
    let options = Options {
        config: AgentConfig {
            max_concurrent_runs: 2,
            max_accepted_runs: 1_000,
            ..config()
        },
        ..Options::default()
    };
    let world = World::with(scripts, options);
    let mut turns = Vec::new();
    for number in 0..500 {
        let message = say(&format!("s{number}"), "of alice");
        turns.push(world.chat.send(&alice(), message).await.unwrap());
    }
    world.model.asked(2).await;
    let bobs = world.chat.send(&caller("bob"), say("s", "of bob")).await;
    turns.push(bobs.unwrap());
    while world.chat.load().waiting < 499 {
        tokio::task::yield_now().await;
    }
    gate.open();
    for turn in turns {
        drain(turn.into_events()).await;
    }
    let said = |request: &ModelRequest| format!("{:?}", request.messages.last());
    let requests = world.model.requests();
    let place = requests
        .iter()
        .position(|request| said(request).contains("of bob"));
    assert_eq!((place, requests.len()), (Some(2), 501));
}
