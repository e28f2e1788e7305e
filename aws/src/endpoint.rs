//! Where a service of AWS is: what the user's configuration says, or the public host of the region.

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

/// Returns the URL of a service, without a slash at its end.
///
/// As AWS's own clients do, it takes the first of these: the service's own endpoint (`AWS_ENDPOINT_URL_REDSHIFT` for the
/// id `Redshift`, or the profile's `services`), the endpoint of all services (`AWS_ENDPOINT_URL`), the region's public
/// host, which has `-fips` in its name where the configuration asks for that.
pub fn endpoint(service_id: &str, host: &str, region: &str, config: &SdkConfig) -> String {
    let of_service = own_endpoint(service_id, config);
    let configured = of_service.or_else(|| config.endpoint_url().map(ToOwned::to_owned));
    let url = configured.unwrap_or_else(|| format!("https://{}", public_host(host, region, config)));
    url.trim_end_matches('/').to_owned()
}

/// Returns the public host of a service in a region, such as `sqs.eu-west-1.amazonaws.com`.
pub fn public_host(service: &str, region: &str, config: &SdkConfig) -> String {
    let fips = if config.use_fips() == Some(true) {
        "-fips"
    } else {
        ""
    };
    format!("{service}{fips}.{region}.{}", domain(region))
}

fn own_endpoint(service_id: &str, config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    config.service_config()?.load_config(key)
}

/// The domain of a region's hosts. Regions are grouped in partitions, each with a domain of its own.
fn domain(region: &str) -> &'static str {
    const DOMAINS: [(&str, &str); 6] = [
        ("cn-", "amazonaws.com.cn"),
        ("us-iso-", "c2s.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("us-isof-", "csp.hci.ic.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
        ("eusc-", "amazonaws.eu"),
    ];
    let partition = DOMAINS.iter().find(|(begins, _)| region.starts_with(begins));
    partition.map_or("amazonaws.com", |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_where_the_configuration_says_or_in_its_region() {
        let of_region = |region| {
            endpoint(
                "Redshift Serverless",
                "redshift-serverless",
                region,
                &SdkConfig::builder().build(),
            )
        };
        assert_eq!(
            of_region("eu-west-1"),
            "https://redshift-serverless.eu-west-1.amazonaws.com"
        );
        assert_eq!(
            of_region("cn-north-1"),
            "https://redshift-serverless.cn-north-1.amazonaws.com.cn"
        );
        let config = SdkConfig::builder().use_fips(true).build();
        assert_eq!(
            endpoint("Redshift", "redshift", "us-gov-west-1", &config),
            "https://redshift-fips.us-gov-west-1.amazonaws.com"
        );
        let config = SdkConfig::builder().endpoint_url("http://127.0.0.1:1/").build();
        assert_eq!(
            endpoint("Redshift", "redshift", "eu-west-1", &config),
            "http://127.0.0.1:1"
        );
    }
}
