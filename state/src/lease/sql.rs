//! The statements about the lease. Times are the server's: no clock of a client counts.

/// How long a statement waits for a lock, in milliseconds.
pub(super) const WAIT_FOR_LOCKS: &str = "SELECT set_config('lock_timeout', $1, false)";

/// An id for one start of a process.
pub(super) const NEW_OWNER: &str = "SELECT gen_random_uuid()::text";

/// Who holds the lease, if anybody, and the number of the service that began last. `remaining` is how many seconds the lease
/// still runs, `age` how many have passed since it was renewed.
pub(super) const LOOK: &str = "
SELECT w.epoch, l.owner, l.host, l.pid,
       (extract(epoch FROM l.taken) * 1e6)::bigint AS taken,
       (extract(epoch FROM l.renewed) * 1e6)::bigint AS renewed,
       (extract(epoch FROM l.lease_until) * 1e6)::bigint AS lease_until,
       extract(epoch FROM clock_timestamp() - l.renewed)::double precision AS age,
       extract(epoch FROM l.lease_until - clock_timestamp())::double precision AS remaining
  FROM service_lease l CROSS JOIN writer w";

/// Takes the number after the one that was seen, and so takes the right to write from whoever has that. Waits for a write
/// that is under way: what it has begun is either done before this, or not at all.
pub(super) const COUNT_ON: &str = "UPDATE writer SET epoch = epoch + 1 WHERE epoch = $1";

/// Takes the lease, if it is free or over.
pub(super) const TAKE: &str = "
UPDATE service_lease
   SET owner = $1, host = $2, pid = $3, taken = clock_timestamp(), renewed = clock_timestamp(),
       lease_until = clock_timestamp() + $4 * interval '1 second'
 WHERE owner IS NULL OR lease_until < clock_timestamp()";

/// Renews a lease that nobody else has taken, even if it was over.
pub(super) const RENEW: &str = "
UPDATE service_lease
   SET renewed = clock_timestamp(), lease_until = clock_timestamp() + $2 * interval '1 second'
 WHERE owner = $1";

/// Gives the lease back.
pub(super) const RELEASE: &str = "
UPDATE service_lease
   SET owner = NULL, host = NULL, pid = NULL, taken = NULL, renewed = NULL, lease_until = NULL
 WHERE owner = $1";
