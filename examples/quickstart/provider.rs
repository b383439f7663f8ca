//! What the provider sends.

use http::StatusCode;

/// Something that the provider sends, and what should become of it.
pub(crate) struct Step {
    pub(crate) what: &'static str,
    pub(crate) query: String,
    pub(crate) body: String,
    /// How many requests at once.
    pub(crate) copies: usize,
    pub(crate) status: StatusCode,
    /// Of the first copy. All others are repeats.
    pub(crate) outcome: &'static str,
}

/// All that the provider sends, in order.
pub(crate) fn script(secret: &str) -> Vec<Step> {
    let good = format!("?token={secret}");
    let received = |what, body, outcome| Step {
        what,
        query: good.clone(),
        body,
        copies: 1,
        status: StatusCode::OK,
        outcome,
    };
    let refused = |what, query: &str| Step {
        query: query.to_owned(),
        status: StatusCode::UNAUTHORIZED,
        ..received(what, success("task-7"), "refused")
    };
    let unreadable = |what, body: &str, status, outcome| Step {
        status,
        ..received(what, body.to_owned(), outcome)
    };
    vec![
        received("task-1: success", success("task-1"), "stored"),
        Step {
            copies: 3,
            ..received(
                "task-1: the same, three retries",
                success("task-1"),
                "repeated",
            )
        },
        received("task-2: failure 400", failure("task-2", 400), "stored"),
        received("task-3: failure 451", failure("task-3", 451), "stored"),
        received("task-4: failure 500", failure("task-4", 500), "stored"),
        received("task-5: failure 531", failure("task-5", 531), "stored"),
        Step {
            copies: 8,
            ..received(
                "task-6: success, eight times at once",
                success("task-6"),
                "stored",
            )
        },
        received(
            "task-1: failure after its success",
            failure("task-1", 500),
            "repeated",
        ),
        received(
            "task-2: success after its failure",
            success("task-2"),
            "upgraded",
        ),
        refused("task-7: success, with a wrong token", "?token=guessed"),
        refused("task-7: success, without a token", ""),
        unreadable(
            "half a JSON document",
            r#"{"code":200,"msg":"succ"#,
            StatusCode::BAD_REQUEST,
            "malformed",
        ),
        unreadable(
            "task-8: success without a URL",
            r#"{"code":200,"msg":"success","data":{"task_id":"task-8","video_url":null}}"#,
            StatusCode::UNPROCESSABLE_ENTITY,
            "unprocessable",
        ),
    ]
}

pub(crate) fn success(task: &str) -> String {
    format!(
        r#"{{"code":200,"msg":"MP4 generated successfully.","data":{{"task_id":"{task}","video_url":"https://example.com/{task}.mp4"}}}}"#
    )
}

fn failure(task: &str, code: u16) -> String {
    format!(
        r#"{{"code":{code},"msg":"Music video generation failed","data":{{"task_id":"{task}","video_url":null}}}}"#
    )
}
