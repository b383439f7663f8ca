//! What the provider sends.

use tower_callback::{
    MusicVideo,
    testing::provider::{Fault, Planned},
};

/// One event of the provider's, and what should become of all the requests that it sends for it.
pub(crate) struct Scene {
    pub(crate) what: String,
    pub(crate) event: Planned,
    pub(crate) outcomes: &'static [(&'static str, u64)],
}

/// All that the provider sends, in order. The tasks have the run in their names: those of
/// another run are other tasks.
pub(crate) fn scenes(run: &str) -> Vec<Scene> {
    let task = |number: u32| format!("task-{run}-{number}");
    let scene = |number, what: &str, event, outcomes| Scene {
        what: format!("{}: {what}", task(number)),
        event,
        outcomes,
    };
    let success = |number| Planned::from(success(&task(number)));
    let failure = |number, code| {
        let event = MusicVideo::failed(task(number), code, "Music video generation failed");
        Planned::from(event)
    };
    let broken = |number, body: &'static str| Planned::raw(task(number), 200, body);
    let stored = &[("stored", 1)];
    vec![
        scene(
            1,
            "success, and three times again",
            times(3, success(1), Fault::Duplicate),
            &[("stored", 1), ("repeated", 3)],
        ),
        scene(2, "failure 400", failure(2, 400), stored),
        scene(3, "failure 451", failure(3, 451), stored),
        scene(4, "failure 500", failure(4, 500), stored),
        scene(5, "failure 531", failure(5, 531), stored),
        scene(
            6,
            "success, eight times at once",
            times(7, success(6), Fault::Concurrent),
            &[("stored", 1), ("repeated", 7)],
        ),
        scene(
            1,
            "failure after its success",
            failure(1, 500),
            &[("repeated", 1)],
        ),
        scene(
            2,
            "success after its failure",
            success(2),
            &[("upgraded", 1)],
        ),
        scene(
            7,
            "success, and a forgery with a wrong token",
            success(7).with(Fault::WrongProof),
            &[("refused", 1), ("stored", 1)],
        ),
        scene(
            8,
            "half a JSON document",
            broken(8, r#"{"code":200,"msg":"succ"#),
            &[("malformed", 1)],
        ),
        scene(
            9,
            "success without a task and a URL",
            broken(9, r#"{"code":200,"msg":"success","data":null}"#),
            &[("unprocessable", 1)],
        ),
    ]
}

pub(crate) fn success(task: &str) -> MusicVideo {
    MusicVideo::succeeded(task, format!("https://example.com/{task}.mp4"))
}

/// The fault strikes so many times.
fn times(count: usize, event: Planned, fault: Fault) -> Planned {
    (0..count).fold(event, |event, _| event.with(fault))
}
