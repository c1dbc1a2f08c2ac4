//! Whether what is counted agrees with what is there: for tests, and for kernels that check themselves.

use crate::Channel;
use crate::call::State;
use crate::client::{Client, Standing};

impl<M, R> Channel<M, R> {
    /// Panics if an invariant does not hold.
    pub fn check(&self) {
        self.check_sums();
        self.check_turns();
        self.check_calls();
        for (id, client) in &self.clients {
            assert!(
                client.held <= self.limits.client_messages,
                "{id:?} holds too many"
            );
            assert!(
                client.queued_bytes <= self.limits.client_bytes,
                "{id:?} holds too much"
            );
            assert_eq!(
                client.wanted_bytes.is_some(),
                self.waiting.contains(id),
                "{id:?} waits"
            );
            if client.standing != Standing::Connected {
                assert!(
                    client.queue.is_empty(),
                    "{id:?} is gone, its messages are not"
                );
            }
        }
        assert!(self.clients.len() <= self.limits.clients);
        assert!(self.waiting.iter().all(|id| self.clients.contains_key(id)));
    }

    fn check_sums(&self) {
        let clients = || self.clients.values();
        let messages: usize = clients().map(|client| client.queue.len()).sum();
        let bytes: usize = clients().map(|client| client.queued_bytes).sum();
        assert_eq!((messages, bytes), (self.queued_messages, self.queued_bytes));
        for client in clients() {
            let costs = client.queue.iter().map(|queued| queued.cost_bytes);
            assert_eq!(costs.sum::<usize>(), client.queued_bytes);
        }
        let heard = clients().filter(|client| !client.queue.is_empty()).count();
        assert!(
            messages <= self.limits.messages + heard,
            "the queue is too long"
        );
    }

    fn check_turns(&self) {
        let has_turn = |(_, client): &(_, &Client<M>)| client.has_turn();
        let mut expected = self.clients.iter().filter(has_turn).map(|(id, _)| *id);
        let mut turns: alloc::vec::Vec<_> = self.turns.iter().copied().collect();
        turns.sort_unstable();
        assert!(
            turns.into_iter().eq(&mut expected),
            "somebody has no turn, or two"
        );
        assert!(self.server_is_open || self.turns.is_empty());
    }

    fn check_calls(&self) {
        for (id, client) in &self.clients {
            let open = self.calls.keys().filter(|call| call.client == *id).count();
            let sends = client
                .queue
                .iter()
                .filter(|queued| queued.call.is_none())
                .count();
            assert_eq!(client.held, open + sends, "{id:?}");
            for call in client.queue.iter().filter_map(|queued| queued.call) {
                assert!(
                    matches!(self.calls.get(&call), Some(State::Queued)),
                    "{call:?}"
                );
            }
        }
        let queued = |state: &&State<R>| matches!(state, State::Queued);
        let in_queues = self.clients.values().flat_map(|client| &client.queue);
        let in_queues = in_queues.filter(|queued| queued.call.is_some()).count();
        assert_eq!(self.calls.values().filter(queued).count(), in_queues);
        assert!(
            self.calls
                .keys()
                .all(|call| self.clients.contains_key(&call.client))
        );
    }
}
