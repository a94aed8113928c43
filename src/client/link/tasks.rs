//! Tasks that end with what owns them.

use std::future::Future;

use tokio::task::{AbortHandle, JoinHandle};

/// Tasks of one link; dropping it ends them.
#[derive(Debug, Default)]
pub(in crate::client) struct Tasks(Vec<JoinHandle<()>>);

impl Tasks {
    /// Runs a task until it ends or its owner goes.
    pub(in crate::client) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.retain(|task| !task.is_finished());
        self.0.push(tokio::spawn(task));
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// One task; dropping it ends it.
#[derive(Debug)]
pub(in crate::client) struct OwnedTask(AbortHandle);

impl OwnedTask {
    /// Runs a task until it ends or its owner goes.
    pub(in crate::client) fn spawn(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(task).abort_handle())
    }
}

impl Drop for OwnedTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}
