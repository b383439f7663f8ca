//! Reads what `strace` wrote, and checks that nothing is acknowledged before it is on disk.

use std::collections::HashMap;

use libtest_mimic::{Failed, Trial};

/// One call into the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    process: u32,
    pub(crate) name: String,
    /// Arguments and result, as they were written.
    text: String,
    /// The line at which it was entered, and the line at which it had returned. The order of lines
    /// is the order in which the tracer saw things happen; times are not needed.
    began: usize,
    ended: usize,
}

impl Call {
    /// What stands for the first argument, the descriptor: a path, or a connection.
    pub(crate) fn file(&self) -> &str {
        let Some((_, rest)) = self.text.split_once('<') else {
            return "";
        };
        // A connection has an arrow in it.
        let end = rest.find(">,").or_else(|| rest.find(">)"));
        let end = end.or_else(|| rest.find("> "));
        end.map_or("", |end| &rest[..end])
    }

    /// Whether it returned what no failure returns, and was really done.
    fn is_done(&self) -> bool {
        let result = self.text.rsplit_once(" = ").map(|(_, result)| result);
        result.is_some_and(|result| !result.starts_with(['-', '?']) && !result.contains("INJECTED"))
    }

    pub(crate) fn is_log_write(&self) -> bool {
        matches!(
            &*self.name,
            "pwrite64" | "pwritev" | "pwritev2" | "write" | "writev"
        ) && self.file().ends_with("-wal")
    }

    pub(crate) fn is_log_sync(&self) -> bool {
        matches!(&*self.name, "fsync" | "fdatasync")
            && self.file().ends_with("-wal")
            && self.is_done()
    }

    fn is_read(&self) -> bool {
        matches!(&*self.name, "read" | "readv" | "recvfrom" | "recvmsg")
            && self.file().starts_with("TCP")
    }

    pub(crate) fn is_acknowledgement(&self) -> bool {
        matches!(&*self.name, "write" | "writev" | "sendto" | "sendmsg")
            && self.file().starts_with("TCP")
            && self.text.contains("HTTP/1.1 200")
    }

    pub(crate) fn speaks_of(&self, task: &str) -> bool {
        self.text.contains(task)
    }

    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.ended < other.began
    }
}

/// The calls of a trace, in the order in which they were entered.
pub(crate) fn parse(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut unfinished: HashMap<u32, usize> = HashMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((process, rest)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let Ok(process) = process.parse() else {
            continue;
        };
        let Some((_, rest)) = rest.trim_start().split_once(' ') else {
            continue;
        };
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let text = resumed.split_once(" resumed>").map(|(_, text)| text);
            if let (Some(text), Some(index)) = (text, unfinished.remove(&process)) {
                calls[index].text.push_str(text);
                calls[index].ended = number;
            }
            continue;
        }
        let Some((name, text)) = rest.split_once('(') else {
            // A signal or an end.
            continue;
        };
        let (text, ended) = match text.strip_suffix("<unfinished ...>") {
            Some(text) => {
                unfinished.insert(process, calls.len());
                (text, usize::MAX)
            }
            None => (text, number),
        };
        calls.push(Call {
            process,
            name: name.to_owned(),
            text: text.to_owned(),
            began: number,
            ended,
        });
    }
    calls
}

/// What a trace says about acknowledgements.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Tasks that were acknowledged after their record was in the log, and the log was synced.
    pub(crate) right: Vec<String>,
    /// Tasks that were acknowledged too early, or without any record.
    pub(crate) early: Vec<String>,
    /// Acknowledgements that nobody knows the task of.
    pub(crate) unknown: usize,
}

/// Finds for every 200 the request on its connection, the first write of the task's record into
/// the log, and a sync of the log that began after that write and had returned before the 200.
pub(crate) fn judge(calls: &[Call], tasks: &[String]) -> Verdict {
    let mut verdict = Verdict::default();
    for ack in calls.iter().filter(|call| call.is_acknowledgement()) {
        let heard: String = calls
            .iter()
            .filter(|call| call.is_read() && call.file() == ack.file() && call.is_before(ack))
            .map(|call| &*call.text)
            .collect();
        let Some(task) = tasks.iter().find(|task| heard.contains(&***task)) else {
            verdict.unknown += 1;
            continue;
        };
        let mut syncs = calls.iter().filter(|call| call.is_log_sync());
        let write = calls
            .iter()
            .find(|call| call.is_log_write() && call.speaks_of(task));
        let durable = write
            .is_some_and(|write| syncs.any(|sync| write.is_before(sync) && sync.is_before(ack)));
        let list = if durable {
            &mut verdict.right
        } else {
            &mut verdict.early
        };
        list.push(task.clone());
    }
    verdict
}

const SOCKET: &str = "9<TCP:[127.0.0.1:4000->127.0.0.1:5000]>";

/// A story of one request, one call in a line.
fn story(lines: &[&str]) -> String {
    let line = |(number, line): (usize, &&str)| {
        let line = line
            .replace("SOCKET", SOCKET)
            .replace("LOG", "7</tmp/x/callbacks.db-wal>");
        let (process, call) = line.split_once(' ').unwrap();
        format!("{process} 1700000000.{number:06} {call}\n")
    };
    lines.iter().enumerate().map(line).collect()
}

const HEARD: &str = r#"11 recvfrom(SOCKET, "POST /x?token=y ... {\"task_id\":\"task-1\"}", 8192, 0, NULL, NULL) = 60"#;
const WRITTEN: &str = r#"12 pwrite64(LOG, "\0\0task-1\r\3", 4096, 56) = 4096"#;
const SYNCED: &str = "12 fdatasync(LOG) = 0";
const ANSWERED: &str = r#"11 writev(SOCKET, [{iov_base="HTTP/1.1 200 OK\r\n"}], 1) = 100"#;

pub(crate) fn trials() -> Vec<Trial> {
    let early: [(&str, &[&str]); 7] = [
        (
            "an answer before the sync",
            &[HEARD, WRITTEN, ANSWERED, SYNCED],
        ),
        (
            "a sync before the write",
            &[HEARD, SYNCED, WRITTEN, ANSWERED],
        ),
        ("no write at all", &[HEARD, SYNCED, ANSWERED]),
        (
            "a sync that fails",
            &[
                HEARD,
                WRITTEN,
                "12 fdatasync(LOG) = -1 EIO (Input/output error)",
                ANSWERED,
            ],
        ),
        (
            "a sync that is made up",
            &[HEARD, WRITTEN, "12 fdatasync(LOG) = 0 (INJECTED)", ANSWERED],
        ),
        (
            "a sync of another file",
            &[
                HEARD,
                WRITTEN,
                "12 fdatasync(7</tmp/x/callbacks.db>) = 0",
                ANSWERED,
            ],
        ),
        (
            "an answer while the sync goes on",
            &[
                HEARD,
                WRITTEN,
                "12 fdatasync(LOG <unfinished ...>",
                ANSWERED,
                "12 <... fdatasync resumed>) = 0",
            ],
        ),
    ];
    let mut trials: Vec<_> = early
        .into_iter()
        .map(|(what, lines)| {
            let trace = story(lines);
            let name = format!("the_checker_catches_{}", what.replace(' ', "_"));
            Trial::test(name, move || expect(&trace, false))
        })
        .collect();
    let right = story(&[
        HEARD,
        WRITTEN,
        "12 fdatasync(LOG <unfinished ...>",
        "13 +++ exited with 0 +++",
        "12 <... fdatasync resumed>) = 0",
        r#"11 sendto(SOCKET, "HTTP/1.1 200 OK", 15, 0, NULL, 0 <unfinished ...>"#,
    ]);
    let name = "the_checker_follows_calls_that_are_interrupted";
    trials.push(Trial::test(name, move || expect(&right, true)));
    trials
}

fn expect(trace: &str, right: bool) -> Result<(), Failed> {
    let task = vec!["task-1".to_owned()];
    let verdict = judge(&parse(trace), &task);
    let expected = match right {
        true => Verdict {
            right: task,
            ..Verdict::default()
        },
        false => Verdict {
            early: task,
            ..Verdict::default()
        },
    };
    if verdict != expected {
        return Err(format!("{verdict:?} of\n{trace}").into());
    }
    Ok(())
}
