//! What the object of a live input is told by those of nodes, and tells others.

use shared::api::ApiEvent;
use shared::id::NodeName;
use shared::link::What;

use super::{Host, LiveInput};
use crate::node_link::Look;
use crate::sql::Statement;
use crate::status::{Batch, Mirror, News, Told, View};
use crate::trouble::Trouble;

impl<H: Host> LiveInput<'_, H> {
    /// Takes news, each once. Of an input that nothing is known of any more, none.
    ///
    /// # Errors
    ///
    /// Where the node's object must tell it again.
    pub async fn told(mut self, told: &Told) -> Result<(), Trouble<H::Error>> {
        if self.state.rev == 0 {
            return Ok(());
        }
        for news in &told.news {
            self.status.take(news, self.now);
            let over = match &news.news {
                News::Event(event) => match event.what {
                    What::Ended { .. } => Some(event.epoch),
                    _ => None,
                },
                News::Over { epoch } => Some(*epoch),
                News::Applied { .. } | News::Heard | News::Silent { .. } => None,
            };
            if over == Some(self.state.epoch) {
                self.state.owner = None;
            }
        }
        self.store_status().await
    }

    /// What there is to say of the input now.
    pub fn view(&self) -> View {
        self.status.view(self.state.rev, self.state.owner.is_some())
    }

    /// Whose object can say more, and what to ask it: while somebody has the input on air, and is
    /// heard.
    pub fn look(&self) -> Option<(NodeName, Look)> {
        let owner = self.state.owner.as_ref()?;
        let look = Look {
            input: self.state.input,
            instance: owner.instance,
        };
        (!self.view().silent).then(|| (owner.node.clone(), look))
    }

    /// The events to hand to the account's object now, if any are due. Until
    /// [`handed`](Self::handed) is called, the alarm will see to it again.
    ///
    /// # Errors
    ///
    /// Where nothing can be stored.
    pub async fn events_due(mut self) -> Result<Option<Batch>, Trouble<H::Error>> {
        if self.state.rev == 0 {
            return Ok(None);
        }
        let due = self.status.hand(self.now);
        self.store_status().await?;
        Ok(due)
    }

    /// What the input's row in the database must say now, if it says something else and the time
    /// has come. Until [`mirrored`](Self::mirrored) is called, the alarm will see to it again.
    ///
    /// # Errors
    ///
    /// Where nothing can be stored.
    pub async fn mirror_due(mut self) -> Result<Option<(Mirror, Statement)>, Trouble<H::Error>> {
        let Some(mirror) = self.status.mirror(self.now) else {
            return Ok(None);
        };
        let statement = self.status.write_mirror(&mirror);
        self.store_status().await?;
        Ok(Some((mirror, statement)))
    }

    /// The input's row says so.
    ///
    /// # Errors
    ///
    /// Where that cannot be stored: it will be written again.
    pub async fn mirrored(mut self, mirror: Mirror) -> Result<(), Trouble<H::Error>> {
        self.status.mirrored(mirror);
        self.store_status().await
    }

    /// The account's object has these events.
    ///
    /// # Errors
    ///
    /// Where that cannot be stored: it will be given them again.
    pub async fn handed(mut self, events: &[ApiEvent]) -> Result<(), Trouble<H::Error>> {
        if let Some(last) = events.last() {
            self.status.handed(last.id.number);
        }
        if self.status.is_closed() && self.is_done() {
            return self.forget().await;
        }
        self.store_status().await
    }
}
