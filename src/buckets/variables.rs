//! The variables of the environment that Google's and Azure's own tools take credentials from.

use std::ffi::OsString;
use std::path::PathBuf;

use object_store::azure::AzureConfigKey;

/// The variables of Azure that count here. Which of the ways is taken, if there are several, `object_store` says: a key,
/// a federated token (workload identity), a service principal, a shared access signature, and else the managed identity.
const AZURE: [(&str, AzureConfigKey); 9] = [
    ("AZURE_STORAGE_ACCOUNT_NAME", AzureConfigKey::AccountName),
    ("AZURE_STORAGE_ACCOUNT_KEY", AzureConfigKey::AccessKey),
    ("AZURE_STORAGE_SAS_TOKEN", AzureConfigKey::SasKey),
    ("AZURE_TENANT_ID", AzureConfigKey::AuthorityId),
    ("AZURE_CLIENT_ID", AzureConfigKey::ClientId),
    ("AZURE_CLIENT_SECRET", AzureConfigKey::ClientSecret),
    ("AZURE_FEDERATED_TOKEN_FILE", AzureConfigKey::FederatedTokenFile),
    ("AZURE_AUTHORITY_HOST", AzureConfigKey::AuthorityHost),
    ("IDENTITY_ENDPOINT", AzureConfigKey::MsiEndpoint),
];

/// What the environment says of Azure.
pub(super) fn azure(variable: impl Fn(&str) -> Option<OsString>) -> Vec<(AzureConfigKey, String)> {
    let found = AZURE.into_iter().filter_map(|(name, key)| {
        let value = variable(name)?.into_string().ok()?;
        (!value.is_empty()).then_some((key, value))
    });
    found.collect()
}

/// The file of Google's application default credentials: the one that is named, or the one that `gcloud auth
/// application-default login` has left in the home folder.
pub(super) fn google(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let variable = |name| variable(name).filter(|value| !value.is_empty());
    let named = variable("GOOGLE_APPLICATION_CREDENTIALS").map(PathBuf::from);
    named.or_else(|| {
        let at_home = ".config/gcloud/application_default_credentials.json";
        let file = PathBuf::from(variable("HOME")?).join(at_home);
        file.exists().then_some(file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn googles_file_is_the_one_that_is_named_or_the_one_at_home() {
        let home = tempfile::TempDir::new().unwrap();
        let at_home = home
            .path()
            .join(".config/gcloud/application_default_credentials.json");
        let found = |named: &str| {
            google(|name| match name {
                "GOOGLE_APPLICATION_CREDENTIALS" => Some(named.into()),
                "HOME" => Some(home.path().into()),
                _ => None,
            })
        };
        assert_eq!(found(""), None);
        std::fs::create_dir_all(at_home.parent().unwrap()).unwrap();
        std::fs::write(&at_home, "{}").unwrap();
        assert_eq!(found(""), Some(at_home));
        assert_eq!(found("/etc/account.json"), Some("/etc/account.json".into()));
    }

    #[test]
    fn only_what_azures_variables_say_counts() {
        let found = azure(|name| match name {
            "AZURE_STORAGE_ACCOUNT_NAME" => Some("shops".into()),
            "AZURE_CLIENT_ID" => Some("".into()),
            "AZURE_STORAGE_USE_EMULATOR" => Some("true".into()),
            _ => None,
        });
        assert_eq!(found, [(AzureConfigKey::AccountName, "shops".to_owned())]);
    }
}
