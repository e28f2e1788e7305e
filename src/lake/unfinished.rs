//! Uploads in parts that were begun and never ended: they are no objects, appear in no listing of objects, and cost
//! money until they are aborted.

use anyhow::Context;

use super::bucket::Bucket;

/// Aborts all uploads below the lake's prefix, and tells how many. One that was completed or aborted meanwhile is left.
pub(super) async fn abort_all(bucket: &Bucket) -> anyhow::Result<usize> {
    let action = || format!("cannot abort unfinished uploads of the lake {}", bucket.url);
    let mut aborted = 0;
    loop {
        let uploads = bucket.s3.unfinished_uploads().await.with_context(action)?;
        let mut any = false;
        for upload in uploads {
            match bucket.s3.abort(upload).await {
                Ok(()) => any = true,
                Err(error) if error.is_absent() => continue,
                Err(error) => return Err(anyhow::Error::new(error).context(action())),
            }
            aborted += 1;
        }
        if !any {
            return Ok(aborted);
        }
    }
}
