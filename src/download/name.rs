//! Under which name a video is kept.

use sha2::{Digest as _, Sha256};

/// The longest id that is a part of its name as it is.
const MAX_PLAIN: usize = 100;

/// How much of any other id can still be read in its name.
const MAX_READABLE: usize = 40;

/// The longest name that somebody may choose: file systems allow 255 bytes.
const MAX_CHOSEN: usize = 200;

/// The name of a task's video.
///
/// Different ids have different names, also where names are compared without regard to case. A plain
/// id stands in the name as it is. Any other is followed by a dot, which no plain id has, and a part of
/// its SHA-256 digest.
pub(super) fn of_task(task_id: &str) -> String {
    let is_plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if (1..=MAX_PLAIN).contains(&task_id.len()) && task_id.bytes().all(is_plain) {
        return format!("music_video_{task_id}.mp4");
    }
    let readable: String = task_id
        .chars()
        .take(MAX_READABLE)
        .map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '-' => letter,
            _ => '_',
        })
        .collect();
    let digest = Sha256::digest(task_id.as_bytes());
    let digest: String = digest[..20]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("music_video_{readable}.{digest}.mp4")
}

/// Whether somebody's own name can be the name of a file on any file system, in the directory that
/// was meant.
pub(super) fn is_allowed(name: &str) -> bool {
    let allowed = |letter: char| !letter.is_control() && !r#"/\<>:"|?*#%"#.contains(letter);
    let stem = name.split('.').next().unwrap_or_default();
    (1..=MAX_CHOSEN).contains(&name.len())
        && name.chars().all(allowed)
        && !name.starts_with('.')
        && !name.ends_with(['.', ' '])
        && !is_reserved(stem.trim_end())
}

/// The names of devices on Windows, with any extension.
fn is_reserved(stem: &str) -> bool {
    let stem = stem.to_ascii_uppercase();
    let numbered = |device: &str| {
        stem.strip_prefix(device)
            .is_some_and(|rest| rest.chars().count() == 1 && rest != "0")
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_plain_id_is_in_the_name_as_it_is() {
        assert_eq!(of_task("5c79be8e-2_b"), "music_video_5c79be8e-2_b.mp4");
    }

    #[test]
    fn ids_that_differ_only_in_case_or_in_odd_characters_have_different_names() {
        let ids = [
            "task", "Task", "tasK", "task/", "task.", "task:", "../task", "task_", "", ".", "..",
            "con", "CON", "ä", "a\u{308}", "task\0", "task mp4", "task.mp4",
        ];
        let long: Vec<_> = ["a", "b"].map(|end| "x".repeat(300) + end).into();
        let ids = ids.into_iter().chain(long.iter().map(String::as_str));
        let names: Vec<_> = ids.map(|id| of_task(id).to_lowercase()).collect();
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_id_gives_a_name_for_any_file_system_that_no_other_id_has(
            one in any::<String>(),
            other in "[a-zA-Z0-9._/-]{0,150}",
        ) {
            for id in [&one, &other] {
                let name = of_task(id);
                prop_assert!(name.is_ascii() && name.len() <= 120 && is_allowed(&name), "{name}");
                prop_assert!(name.starts_with("music_video_") && name.ends_with(".mp4"));
            }
            if one != other {
                prop_assert_ne!(of_task(&one).to_lowercase(), of_task(&other).to_lowercase());
            }
        }
    }

    #[test]
    fn a_chosen_name_stays_in_its_directory_and_is_no_device() {
        for name in ["a.mp4", "Köln 1.mp4", "comet.mp4", "com0.mp4", "a..b"] {
            assert!(is_allowed(name), "{name}");
        }
        for name in [
            "", ".", "..", ".a", "a/b", "a\\b", "a\0", "a\n", "C:a", "a#1", "a%2f", "nul",
            "Con.mp4", "com1.x", "LPT9", "a.", "a ", "con .mp4",
        ] {
            assert!(!is_allowed(name), "{name}");
        }
        assert!(!is_allowed(&"x".repeat(201)));
    }
}
