//! What is sent, and what must come back.

use crate::payload::{Request, random_id};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Traffic {
    Unique,
    Same,
    BadToken,
    Repeats,
    Foreign,
    /// Unique ids, so many that tables have to grow.
    Many,
}

impl Traffic {
    pub(crate) const ALL: [Self; 6] = [
        Self::Unique,
        Self::Same,
        Self::BadToken,
        Self::Repeats,
        Self::Foreign,
        Self::Many,
    ];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Unique => "unique ids",
            Self::Same => "the same id",
            Self::BadToken => "a wrong token",
            Self::Repeats => "30 % repeats",
            Self::Foreign => "a foreign path",
            Self::Many => "1.7 million unique ids",
        }
    }

    pub(crate) fn source(self) -> Source {
        Source {
            traffic: self,
            request: match self {
                Self::BadToken => Request::forged(),
                Self::Foreign => Request::new("/other", "none"),
                _ => Request::proven(),
            },
            sent: Vec::new(),
            next: 0,
        }
    }

    /// How each answer begins. A bare server accepts everything.
    pub(crate) fn expected(self, refuses: bool) -> &'static [u8] {
        match self {
            Self::BadToken if refuses => b"HTTP/1.1 401 ",
            _ => b"HTTP/1.1 200 ",
        }
    }
}

/// So many ids are remembered, to be sent again.
const REMEMBERED: usize = 4096;

/// Requests, one after the other.
pub(crate) struct Source {
    traffic: Traffic,
    request: Request,
    sent: Vec<[u8; 24]>,
    next: usize,
}

impl Source {
    pub(crate) fn next(&mut self) -> &[u8] {
        match self.traffic {
            Traffic::Unique | Traffic::Many => self.request.set_id(random_id()),
            Traffic::Repeats => {
                let id = self.fresh_or_repeated();
                self.request.set_id(id);
            }
            Traffic::Same | Traffic::BadToken | Traffic::Foreign => (),
        }
        self.request.bytes()
    }

    fn fresh_or_repeated(&mut self) -> [u8; 24] {
        if !self.sent.is_empty() && fastrand::u8(0..100) < 30 {
            return self.sent[fastrand::usize(..self.sent.len())];
        }
        let id = random_id();
        if self.sent.len() < REMEMBERED {
            self.sent.push(id);
        } else {
            self.sent[self.next] = id;
            self.next = (self.next + 1) % REMEMBERED;
        }
        id
    }
}
