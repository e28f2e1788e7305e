//! The statements about the lease. Times are the server's: no clock of a client counts.

/// An id for one start of a process.
pub(super) const NEW_OWNER: &str = "SELECT postgres{gen_random_uuid()::text} mysql{uuid()}";

/// Who holds the lease, if anybody, and the number of the service that began last. `remaining` is how many seconds the lease
/// still runs, `age` how many have passed since it was renewed.
pub(super) const LOOK: &str = "
SELECT w.epoch, l.owner, l.host, l.pid,
       postgres{(extract(epoch FROM l.taken) * 1e6)::bigint AS taken,
       (extract(epoch FROM l.renewed) * 1e6)::bigint AS renewed,
       (extract(epoch FROM l.lease_until) * 1e6)::bigint AS lease_until,
       extract(epoch FROM clock_timestamp() - l.renewed)::double precision AS age,
       extract(epoch FROM l.lease_until - clock_timestamp())::double precision AS remaining}
       mysql{timestampdiff(MICROSECOND, '1970-01-01', l.taken) AS taken,
       timestampdiff(MICROSECOND, '1970-01-01', l.renewed) AS renewed,
       timestampdiff(MICROSECOND, '1970-01-01', l.lease_until) AS lease_until,
       timestampdiff(MICROSECOND, l.renewed, utc_timestamp(6)) / 1e6 AS age,
       timestampdiff(MICROSECOND, utc_timestamp(6), l.lease_until) / 1e6 AS remaining}
  FROM service_lease l CROSS JOIN writer w ON w.one = l.one";

/// Takes the number after the one that was seen, and so takes the right to write from whoever has that. Waits for a write
/// that is under way: what it has begun is either done before this, or not at all.
pub(super) const COUNT_ON: &str = "UPDATE writer SET epoch = epoch + 1 WHERE epoch = ?1";

/// Takes the lease, if it is free or over.
pub(super) const TAKE: &str = "
UPDATE service_lease
   SET owner = ?1, host = ?2, pid = ?3,
       postgres{taken = clock_timestamp(), renewed = clock_timestamp(),
       lease_until = clock_timestamp() + ?4:int * interval '1 microsecond'
 WHERE owner IS NULL OR lease_until < clock_timestamp()}
       mysql{taken = utc_timestamp(6), renewed = utc_timestamp(6),
       lease_until = utc_timestamp(6) + INTERVAL ?4 MICROSECOND
 WHERE owner IS NULL OR lease_until < utc_timestamp(6)}";

/// Renews a lease that nobody else has taken, even if it was over.
pub(super) const RENEW: &str = "
UPDATE service_lease
   SET postgres{renewed = clock_timestamp(), lease_until = clock_timestamp() + ?2:int * interval '1 microsecond'}
       mysql{renewed = utc_timestamp(6), lease_until = utc_timestamp(6) + INTERVAL ?2 MICROSECOND}
 WHERE owner = ?1";

/// Gives the lease back.
pub(super) const RELEASE: &str = "
UPDATE service_lease
   SET owner = NULL, host = NULL, pid = NULL, taken = NULL, renewed = NULL, lease_until = NULL
 WHERE owner = ?1";
