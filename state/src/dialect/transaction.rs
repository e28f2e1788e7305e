//! Transactions. One that is dropped before its commit is undone.

use std::ops::{Deref, DerefMut};

use super::connection::Connection;
use super::error::Result;

/// An open transaction on a connection that it borrows or, for reading, owns for that long.
#[derive(Debug)]
pub(crate) struct Transaction<C: DerefMut<Target = Connection>> {
    connection: C,
    is_open: bool,
}

impl<C: DerefMut<Target = Connection>> Transaction<C> {
    /// Begins a transaction that keeps others from writing until it ends: what it has read is still true when it writes.
    pub(crate) async fn to_write(connection: C) -> Result<Self> {
        let mut transaction = Self::open(connection);
        transaction.begin_to_write().await?;
        Ok(transaction)
    }

    /// Begins a transaction on a connection that lies beside the rules.
    pub(crate) async fn beside(connection: C) -> Result<Self> {
        let mut transaction = Self::open(connection);
        transaction.begin_beside().await?;
        Ok(transaction)
    }

    /// Begins a transaction that sees the database as it was at one moment.
    pub(crate) async fn to_read(connection: C) -> Result<Self> {
        let mut transaction = Self::open(connection);
        transaction.begin_to_read().await?;
        Ok(transaction)
    }

    /// Whoever gives up beginning may have begun.
    fn open(connection: C) -> Self {
        Self {
            connection,
            is_open: true,
        }
    }

    /// Makes everything stand that was done in the transaction.
    pub(crate) async fn commit(mut self) -> Result<()> {
        self.connection.commit().await?;
        self.is_open = false;
        Ok(())
    }
}

impl<C: DerefMut<Target = Connection>> Drop for Transaction<C> {
    fn drop(&mut self) {
        if self.is_open {
            self.connection.start_rollback();
        }
    }
}

impl<C: DerefMut<Target = Connection>> Deref for Transaction<C> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl<C: DerefMut<Target = Connection>> DerefMut for Transaction<C> {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.connection
    }
}
