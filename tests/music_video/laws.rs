//! What holds for every callback.

use proptest::prelude::*;
use tower_callback::{
    event::ParseErrorKind,
    music_video::{Failure, MusicVideo, Outcome},
    testing::fuzz_event,
};

use super::{parse, read};

fn text() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 1..24).prop_map(String::from_iter)
}

fn event() -> impl Strategy<Value = MusicVideo> {
    prop_oneof![
        (text(), text()).prop_map(|(id, url)| MusicVideo::succeeded(id, url)),
        (text(), any::<i64>(), text())
            .prop_map(|(id, code, msg)| MusicVideo::failed(id, code, msg)),
        (text(), prop::sample::select(vec![400, 451, 500]), text())
            .prop_map(|(id, code, msg)| MusicVideo::failed(id, code, msg)),
    ]
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        text().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let name = prop_oneof![text(), Just("code".to_owned()), Just("task_id".to_owned())];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::vec((name, inner), 0..4)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Unknown members: a name that no reader of callbacks knows, and anything.
fn unknown() -> impl Strategy<Value = Vec<String>> {
    let member = (text(), json())
        .prop_map(|(name, value)| format!("{}:{value}", serde_json::json!(format!("x{name}"))));
    proptest::collection::vec(member, 0..4)
}

/// The members of a callback in any order, among unknown ones.
fn shuffled() -> impl Strategy<Value = (MusicVideo, String)> {
    (event(), unknown(), unknown(), any::<[bool; 2]>())
        .prop_flat_map(|(event, root, data, [id_at_root, camel_case])| {
            let plain: serde_json::Value = serde_json::from_slice(&event.encode()).unwrap();
            let name = if camel_case { "taskId" } else { "task_id" };
            let id = format!(r#""{name}":{}"#, plain["data"]["task_id"]);
            let mut data = data;
            let mut root = root;
            data.push(format!(r#""video_url":{}"#, plain["data"]["video_url"]));
            root.push(format!(r#""code":{}"#, plain["code"]));
            root.push(format!(r#""msg":{}"#, plain["msg"]));
            if id_at_root {
                root.push(id);
            } else {
                data.push(id);
            }
            (Just(event), Just(root), Just(data).prop_shuffle())
        })
        .prop_flat_map(|(event, mut root, data)| {
            root.push(format!(r#""data":{{{}}}"#, data.join(",")));
            (Just(event), Just(root).prop_shuffle())
        })
        .prop_map(|(event, root)| (event, format!("{{{}}}", root.join(" , "))))
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_back(event in event()) {
        prop_assert_eq!(read(event.encode()), event);
    }

    #[test]
    fn an_event_whose_code_was_set_to_disagree_is_read_back_with_its_outcome(
        event in event(),
        code in prop_oneof![any::<i64>(), prop::sample::select(vec![0, 200, 400, 451, 500])],
    ) {
        let mut changed = event.clone();
        changed.code = code;
        let read = read(changed.encode());
        prop_assert_eq!(&read.outcome, &event.outcome);
    }

    #[test]
    fn a_failure_with_a_code_that_means_success_is_read_back_as_a_failure(code in 0..2_i64) {
        let mut event = MusicVideo::failed("t", 400, "m");
        event.outcome = Outcome::Failed(Failure::Other(code * 200));
        prop_assert_eq!(read(event.encode()).outcome, Outcome::Failed(Failure::ServerError));
    }

    #[test]
    fn the_front_finds_the_key_that_the_worker_finds((_, body) in shuffled(), cut in 0..400_usize) {
        fuzz_event::<MusicVideo>(body.as_bytes());
        fuzz_event::<MusicVideo>(&body.as_bytes()[..cut.min(body.len())]);
    }

    #[test]
    fn neither_order_nor_unknown_members_change_the_event((event, body) in shuffled()) {
        prop_assert_eq!(read(&body), event, "{}", body);
    }

    #[test]
    fn any_json_is_read_or_unprocessable_and_never_a_syntax_error(value in json()) {
        if let Err(error) = parse(value.to_string()) {
            prop_assert_eq!(error.kind(), ParseErrorKind::Unprocessable, "{}", value);
        }
    }

    #[test]
    fn any_bytes_are_refused_as_not_json_exactly_when_they_are_not(
        start in 0..80_usize,
        patch in proptest::collection::vec(any::<u8>(), 0..3),
    ) {
        let mut body = MusicVideo::failed("t", 400, "m").encode().to_vec();
        let start = start.min(body.len());
        let end = (start + patch.len()).min(body.len());
        body.splice(start..end, patch);
        let is_json = serde_json::from_slice::<serde_json::Value>(&body).is_ok();
        match parse(&body) {
            Ok(event) => {
                prop_assert!(is_json);
                prop_assert_eq!(read(event.encode()), event);
            }
            Err(error) => prop_assert_eq!(error.kind() == ParseErrorKind::Syntax, !is_json),
        }
    }
}
