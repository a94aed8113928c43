//! Keeps what fails inside the WebRTC stack with the connection it happens on. The stack asserts its own rules, and
//! what clients send reaches it: a panic there ends one participant, not the media thread.

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why a step of the WebRTC stack came to nothing.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) reason: String,
    /// The stack panicked: its connection may be half changed and is of no use any more.
    pub(super) panicked: bool,
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self { reason, panicked: false }
    }
}

impl From<&str> for Fault {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

/// Does one step of the stack. Whoever gets [`Fault::panicked`] back drops what the step worked on.
pub(super) fn guarded<T, E: Display>(step: impl FnOnce() -> Result<T, E>) -> Result<T, Fault> {
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(done) => done.map_err(|error| error.to_string().into()),
        Err(panic) => {
            let reason = format!("the WebRTC stack panicked: {}", text_of(panic.as_ref()));
            tracing::error!(reason = reason.as_str(), "a connection is given up");
            Err(Fault { reason, panicked: true })
        }
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it does not say why")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_fault_and_an_error_stays_one() {
        assert_eq!(guarded(|| Ok::<_, String>(7)).unwrap(), 7);
        let refused = guarded(|| Err::<(), _>("no")).unwrap_err();
        assert!(refused.reason == "no" && !refused.panicked);
        let limit = 3;
        let fault = guarded(|| {
            assert!(limit > 3, "Pt locked multiple times: {limit}");
            Ok::<_, String>(())
        });
        let fault = fault.unwrap_err();
        assert!(fault.panicked && fault.reason.ends_with("Pt locked multiple times: 3"), "{}", fault.reason);
    }
}
