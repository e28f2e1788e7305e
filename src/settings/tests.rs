mod mutated;

use super::*;

/// Settings that can be used in a folder with `in`.
const GOOD: &str = r#"
[source]
url = "in"
[lake]
url = "file://lake"
[state]
url = "sqlite://state.db"
[warehouse]
url = "sqlite://mart/warehouse.db"
[[feed]]
name = "sales"
files = "*-*.tdf"
columns = ["store_id", "amount", "code", "item_id", "trans_date"]
measures = { sale_amount = 4, tax_amount = 5 }
[[job]]
id = "J1"
feed = "sales"
files = "IL-{store}.tdf"
"#;

fn read(text: &str) -> Result<Settings, String> {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    std::fs::create_dir(folder.path().join("in")).expect("the new folder can be written");
    Settings::from_text(text, folder.path())
}

/// The message about settings in which `good` was replaced.
fn error(good: &str, bad: &str) -> String {
    assert!(GOOD.contains(good), "{good}");
    read(&GOOD.replacen(good, bad, 1)).expect_err(bad)
}

#[test]
fn paths_are_relative_to_the_settings_files_folder() {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("in")).expect("the new folder can be written");
    let settings = Settings::from_text(GOOD, folder.path()).expect("the settings are good");
    assert!(matches!(&settings.sources[0].place, Place::Folder(folder) if *folder == at("in")));
    assert!(matches!(&settings.lake, LakeSettings::Folder(folder) if *folder == at("lake")));
    assert_eq!(settings.state.file(), Some(at("state.db").as_path()));
    let warehouse = at("mart/warehouse.db");
    assert_eq!(
        settings.warehouse.get(),
        Ok(format!("sqlite://{}", warehouse.display()).as_str())
    );
}

#[test]
fn the_state_database_is_no_warehouse() {
    for same in [
        "sqlite://state.db",
        "sqlite://./state.db",
        "sqlite://state.db?mode=rwc",
    ] {
        let error = error("sqlite://mart/warehouse.db", same);
        assert!(error.contains("state.db is the state database"), "{error}");
    }
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let settings = read(GOOD).expect("the settings are good");
    assert_eq!(settings.sources[0].settle, Duration::from_secs(1));
    assert_eq!(settings.sources[0].sweep, Duration::from_secs(30));
    assert_eq!(settings.target.measures, ["sale_amount", "tax_amount"]);
    assert!(!settings.target.audit);
    assert!(settings.refill);
    let job = &settings.jobs[0];
    assert_eq!((job.min_files, job.enabled), (1, true));
    assert_eq!(job.trigger.to_string(), "all");
}

#[test]
fn a_mistake_is_told_with_its_line_its_table_and_its_key() {
    let unknown = error("url = \"in\"", "url = \"in\"\nsetle = \"2s\"");
    assert!(
        unknown.starts_with("line 4 [source] setle: unknown field `setle`"),
        "{unknown}"
    );
    let number = error("files = \"IL-{store}.tdf\"", "files = 7");
    assert!(
        number.starts_with("line 18 [[job]] files: invalid type: integer `7`"),
        "{number}"
    );
    let absent = error("[lake]\nurl = \"file://lake\"", "");
    assert_eq!(absent, "missing field `lake`");
    let absent = error("feed = \"sales\"\n", "");
    assert_eq!(absent, "line 15 [[job]]: missing field `feed`");
}

/// Settings whose source, or lake, is written otherwise.
fn with(table: &str, other: &str) -> Result<Settings, String> {
    let good = format!(
        "[{table}]\nurl = \"{}\"",
        if table == "source" { "in" } else { "file://lake" }
    );
    assert!(GOOD.contains(&good));
    read(&GOOD.replacen(&good, other, 1))
}

#[test]
fn a_bucket_is_a_source_and_a_lake_like_a_folder() {
    let source = "[source]\nurl = \"s3://shop/incoming/\"\n[source.events]\nqueue = \"https://sqs/q\"\n\
                  [source.s3]\nregion = \"eu-west-1\"\nrequester_pays = true";
    let settings = with("source", source).expect("the settings are good");
    let Place::Bucket(bucket) = &settings.sources[0].place else {
        panic!("{settings:?}");
    };
    assert_eq!(bucket.address.url(), "s3://shop/incoming");
    assert_eq!(bucket.options.region.as_deref(), Some("eu-west-1"));
    assert!(bucket.options.requester_pays && !bucket.options.path_style);
    assert_eq!(settings.sources[0].queue.as_deref(), Some("https://sqs/q"));
    assert_eq!(settings.sources[0].poll, Duration::from_secs(15 * 60));

    let lake = "[lake]\nurl = \"s3://lake\"\ncache_limit = \"1 GB\"";
    let settings = with("lake", lake).expect("the settings are good");
    let LakeSettings::Bucket {
        place,
        scratch,
        cache_limit,
    } = &settings.lake
    else {
        panic!("{settings:?}");
    };
    assert_eq!((place.address.root(), *cache_limit), ("s3://lake", 1_000_000_000));
    assert_eq!(
        scratch.file_name().and_then(|name| name.to_str()),
        Some("state.db-lake")
    );
}

#[test]
fn buckets_of_other_stores_are_reached_by_tables_of_theirs() {
    let source = "[source]\nurl = \"gs://shop/incoming\"\n[source.google]\nendpoint = \"http://h:1\"\nallow_http = true";
    let settings = with("source", source).expect("the settings are good");
    let Place::Bucket(bucket) = &settings.sources[0].place else {
        panic!("{settings:?}");
    };
    assert_eq!(bucket.address.url(), "gs://shop/incoming");
    assert_eq!(bucket.options.endpoint.as_deref(), Some("http://h:1"));
    assert_eq!(settings.sources[0].poll, Duration::from_secs(60));

    let url = "abfss://lake@shops.dfs.core.windows.net/mill";
    let settings = with("lake", &format!("[lake]\nurl = \"{url}\"")).expect("the settings are good");
    assert_eq!(settings.lake.to_string(), url);
}

#[test]
fn files_of_several_sources_are_told_apart_by_the_names_of_these() {
    let two =
        "[[source]]\nname = \"north\"\nurl = \"in\"\n[[source]]\nname = \"south\"\nurl = \"s3://south\"";
    let settings = with("source", two).expect("the settings are good");
    let name = settings.sources[1].file_name("a/IL-1.tdf");
    assert_eq!(name, "south/a/IL-1.tdf");
    assert_eq!(settings.source_of(&name), Some((1, "a/IL-1.tdf")));
    assert_eq!(settings.source_of("north/IL-1.tdf"), Some((0, "IL-1.tdf")));
    assert_eq!(settings.source_of("northern/IL-1.tdf"), None);

    let single = read(GOOD).expect("the settings are good");
    assert_eq!(single.sources[0].file_name("a/IL-1.tdf"), "a/IL-1.tdf");
    assert_eq!(single.source_of("a/IL-1.tdf"), Some((0, "a/IL-1.tdf")));
}

#[test]
fn what_cannot_be_a_source_or_a_lake_is_told() {
    for (table, bad, told) in [
        (
            "source",
            "[[source]]\nurl = \"in\"\n[[source]]\nname = \"b\"\nurl = \"in\"",
            "each needs a name",
        ),
        (
            "source",
            "[[source]]\nname = \"b\"\nurl = \"in\"\n[[source]]\nname = \"b\"\nurl = \"in\"",
            "\"b\" is used twice",
        ),
        ("source", "[source]\nname = \"a/b\"\nurl = \"in\"", "write a word"),
        (
            "source",
            "[[source]]\nnme = \"b\"\nurl = \"in\"",
            "line 3 [[source]] nme: unknown field",
        ),
        ("source", "source = []", "none is defined"),
        (
            "source",
            "[source]\nurl = \"in\"\n[source.s3]\npath_style = true",
            "[source.s3] is for s3://",
        ),
        (
            "source",
            "[source]\nurl = \"gs://bucket\"\n[source.s3]\nregion = \"eu-west-1\"",
            "source.s3: not for this url: [source.s3] is for s3://, [source.google] for gs://",
        ),
        (
            "lake",
            "[lake]\nurl = \"s3://bucket\"\n[lake.azure]\nallow_http = true",
            "lake.azure: not for this url",
        ),
        (
            "source",
            "[source]\nurl = \"az://c\"\n[source.azure]\nregion = \"eu-west-1\"",
            "line 5 [source.azure] region: unknown field `region`, expected `endpoint` or `allow_http`",
        ),
        (
            "source",
            "[source]\nurl = \"gs://bucket\"\n[source.events]\nqueue = \"https://sqs/q\"",
            "only S3 buckets can have a queue",
        ),
        (
            "source",
            "[source]\nurl = \"in\"\n[source.events]\nqueue = \"q\"",
            "a folder needs neither",
        ),
        (
            "source",
            "[source]\nurl = \"s3://b/a//c\"",
            "prefix cannot be used",
        ),
        ("source", "[source]\nurl = \"ftp://bucket\"", "cannot be used"),
        (
            "source",
            "[source]\nurl = \"abfss://c@host/in\"",
            "az://CONTAINER/PREFIX",
        ),
        ("lake", "[lake]\nurl = \"lake\"\nscratch = \"x\"", "needs neither"),
        (
            "lake",
            "[lake]\nurl = \"s3://b\"\n[lake.s3]\nendpoint = \"http://10.0.0.1\"",
            "allow_http = true",
        ),
        (
            "lake",
            "[lake]\nurl = \"s3://b\"\ncache_limit = \"much\"",
            "is not a size",
        ),
    ] {
        let error = with(table, bad).expect_err(bad);
        assert!(error.contains(told), "{bad}: {error}");
    }
    for secret in [
        "[source]\nurl = \"s3://AKIA:hunter2@bucket/x\"",
        "[source]\nurl = \"s3://b\"\n[source.s3]\nendpoint = \"https://AKIA:hunter2@host\"",
        "[source]\nurl = \"s3://b\"\n[source.events]\nqueue = \"https://AKIA:hunter2@host/q\"",
        "[source]\nurl = \"gs://user:hunter2@bucket/x\"",
        "[source]\nurl = \"abfss://c:hunter2@shops.dfs.core.windows.net\"",
        "[source]\nurl = \"az://c\"\n[source.azure]\nendpoint = \"https://shops:hunter2@host\"",
    ] {
        let error = with("source", secret).expect_err(secret);
        assert!(
            error.contains("standard way") && !error.contains("hunter2"),
            "{error}"
        );
    }
}

#[test]
fn what_becomes_of_objects_that_were_taken_is_checked() {
    let source = |after: &str| with("source", &format!("[source]\nurl = \"s3://b/in\"\n{after}"));
    let after = |text: &str| source(text).expect(text).sources.remove(0).after;
    assert!(matches!(after(""), After::Keep));
    assert!(matches!(after("after = \"keep\""), After::Keep));
    assert!(matches!(after("after = \"tag\""), After::Tag));
    for moved in ["s3://b/in2", "s3://b/done/", "s3://other"] {
        let settings = format!("after = \"move\"\nmoved = \"{moved}\"");
        let After::Move(place) = after(&settings) else {
            panic!("{moved}")
        };
        assert_eq!(place.address.url(), moved.trim_end_matches('/'));
    }
    for (wrong, told) in [
        ("after = \"drop\"", "unknown variant"),
        ("after = \"move\"", "source.moved: write where"),
        (
            "after = \"tag\"\nmoved = \"s3://b/done\"",
            "source.moved: only with",
        ),
        ("moved = \"s3://b/done\"", "source.moved: only with"),
        (
            "after = \"move\"\nmoved = \"done\"",
            "source.moved: the URL names no bucket",
        ),
        (
            "after = \"move\"\nmoved = \"gs://b/done\"",
            "source.moved: write where",
        ),
        (
            "after = \"move\"\nmoved = \"s3://b/done//x\"",
            "source.moved: the prefix",
        ),
        (
            "after = \"move\"\nmoved = \"s3://b/in\"",
            "and a source, s3://b/in, overlap",
        ),
        ("after = \"move\"\nmoved = \"s3://b/in/done\"", "overlap"),
        ("after = \"move\"\nmoved = \"s3://b\"", "overlap"),
    ] {
        let error = source(wrong).expect_err(wrong);
        assert!(error.contains(told), "{wrong}: {error}");
    }
    for elsewhere in ["in", "gs://b/in", "az://c"] {
        let wrong = format!("url = \"{elsewhere}\"\nafter = \"tag\"");
        let error = error("url = \"in\"", &wrong);
        assert!(
            error.contains("source.after: only objects in an S3 bucket"),
            "{error}"
        );
    }

    // Of several, none may move to where another is read, or moves to.
    let several = |moved: [&str; 2], lake: &str| {
        let source = |name: &str, moved: &str| {
            format!(
                "[[source]]\nname = \"{name}\"\nurl = \"s3://{name}\"\nafter = \"move\"\nmoved = \"{moved}\"\n"
            )
        };
        let sources = source("north", moved[0]) + &source("south", moved[1]);
        let text = GOOD.replacen("[source]\nurl = \"in\"\n", &sources, 1);
        read(&text.replacen("file://lake", lake, 1))
    };
    several(["s3://done/north", "s3://done/south"], "s3://lake").expect("they are apart");
    for (moved, lake) in [
        (["s3://done", "s3://done"], "lake"),
        (["s3://done/a", "s3://done"], "lake"),
        (["s3://south/x", "s3://done"], "lake"),
        (["s3://lake/done", "s3://done"], "s3://lake"),
    ] {
        let error = several(moved, lake).expect_err("they meet");
        assert!(error.contains("overlap"), "{moved:?}: {error}");
    }
}

#[test]
fn nothing_is_moved_out_of_what_another_source_reads() {
    let source = |name: &str, url: &str, endpoint: &str, after: &str| {
        format!(
            "[[source]]\nname = \"{name}\"\nurl = \"{url}\"\n{after}\n[source.s3]\nregion = \"r\"\n{endpoint}\n"
        )
    };
    let moving = "after = \"move\"\nmoved = \"s3://done\"";
    let beside = |url: &str, endpoints: [&str; 2], after: &str| {
        let sources =
            source("all", "s3://b/in", endpoints[0], after) + &source("some", url, endpoints[1], "");
        read(&GOOD.replacen("[source]\nurl = \"in\"\n", &sources, 1))
    };
    let (at, same, other) = (
        "endpoint = \"https://h:9000\"",
        "endpoint = \"HTTPS://H:9000/\"",
        "endpoint = \"https://h:9001\"",
    );
    for url in ["s3://b/in/x", "s3://b", "s3://b/in"] {
        for endpoints in [["", ""], [at, same]] {
            let error = beside(url, endpoints, moving).expect_err(url);
            for told in ["s3://b/in and another source", url, "after = \"keep\" or \"tag\""] {
                assert!(error.contains(told), "{url}: {error}");
            }
        }
        beside(url, [at, other], moving).expect("they are on two servers");
        beside(url, ["", ""], "after = \"tag\"").expect("what is tagged stays");
    }
    beside("s3://b/in2", ["", ""], moving).expect("they are apart");
}

#[test]
fn no_mistake_brings_a_password_to_light() {
    let url = "url = \"sqlite://mart/warehouse.db\"";
    for bad in [
        "url = \"postgres://u:hunter2@db/mart",
        "url = [\"postgres://u:hunter2@db/mart\"]",
        "url =\n[postgres://u:hunter2@db/mart]",
        "url = \"postgress://u:hunter2@db/mart\"",
        "table = 3\nurl = \"postgres://u:hunter2@db/mart\"",
        "postgres://u:hunter2@db/mart?a=b",
        "url = postgres://u:hunter2@db/mart",
        "load = \"postgres://u:hunter2@db/mart\"\nurl = 5",
    ] {
        let message = error(url, bad);
        assert!(!message.contains("hunter2"), "{message}");
    }
    // Only commands that use the warehouse need the variable.
    let unset = "url = \"postgres://u:hunter2@db/${GRISTMILL_NOT_SET}\"";
    let settings = read(&GOOD.replacen(url, unset, 1)).expect("the warehouse is not asked for");
    let message = settings
        .warehouse
        .get()
        .expect_err("the variable is not set")
        .to_string();
    assert!(
        message.contains("GRISTMILL_NOT_SET") && !message.contains("hunter2"),
        "{message}"
    );
    assert!(!format!("{settings:?}").contains("hunter2"));
    let table = "[warehouse]\nurl = \"sqlite://mart/warehouse.db\"";
    let inline = GOOD.replacen(table, "", 1);
    let inline = format!("warehouse = \"postgres://u:hunter2@db/mart\"\n{inline}");
    let message = read(&inline).expect_err("a table is no text");
    assert!(
        !message.contains("hunter2") && message.contains("warehouse"),
        "{message}"
    );
}

#[test]
fn redshift_is_a_warehouse_whose_url_is_checked() {
    let good = "url = \"redshift://u:hunter2@h/mart?bucket=b&iam_role=default\"";
    let sqlite = "url = \"sqlite://mart/warehouse.db\"";
    assert!(GOOD.contains(sqlite));
    let settings = read(&GOOD.replacen(sqlite, good, 1)).expect("it says all that is needed");
    assert!(settings.warehouse.get().unwrap().starts_with("redshift://"));
    let message = error(sqlite, &good.replace("bucket=b&", ""));
    assert!(
        message.starts_with("warehouse.url: ") && message.contains("bucket="),
        "{message}"
    );
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn feeds_that_share_the_table_have_the_same_measures() {
    let second = "[[feed]]\nname = \"other\"\nfiles = \"x\"\n\
                  columns = [\"store_id\", \"amount\", \"code\", \"item_id\", \"trans_date\"]\n\
                  measures = { sale_amount = 4 }\n[[job]]";
    let message = error("[[job]]", second);
    assert!(
        message.contains("feed \"other\": measures") && message.contains("need the same"),
        "{message}"
    );
}

#[test]
fn the_feed_with_the_longer_literal_start_takes_a_file() {
    let feeds = Feeds::new(
        [("any", "*.tdf"), ("illinois", "IL-*.tdf"), ("late", "IL-*")]
            .map(|(name, files)| {
                FeedLayout::new(&FeedSpec {
                    name: name.into(),
                    files: files.into(),
                    ..FeedSpec::default()
                })
                .expect("the feed is good")
            })
            .into(),
    );
    let name = |path| feeds.of_file(path).map(|(feed, _)| feed.name.clone());
    assert_eq!(name("IL-1.tdf").as_deref(), Some("illinois"));
    assert_eq!(name("CA-1.tdf").as_deref(), Some("any"));
    assert_eq!(name("IL-1.csv").as_deref(), Some("late"));
    assert_eq!(name("CA-1.csv"), None);
}

#[test]
fn only_auto_has_a_number_of_rows() {
    for engine in ["local", "cluster"] {
        let with = format!("id = \"J1\"\nengine = \"{engine}\"\ncluster_rows = 5");
        let error = error("id = \"J1\"", &with);
        assert!(
            error.contains("cluster_rows is only for `engine = \"auto\"`"),
            "{error}"
        );
    }
}

#[cfg(not(feature = "cluster"))]
#[test]
fn a_build_without_clusters_says_which_has_them() {
    let table = format!("{GOOD}\n[cluster]\nurl = \"sc://h\"");
    let job = GOOD.replacen("id = \"J1\"", "id = \"J1\"\nengine = \"auto\"", 1);
    for text in [table, job] {
        let error = read(&text).expect_err("there is no cluster");
        assert!(error.contains("--features cluster"), "{error}");
    }
}

#[cfg(feature = "cluster")]
#[test]
fn a_cluster_knows_the_lake_by_its_url_or_by_another_one() {
    let on_cluster =
        |rest: &str| format!("{GOOD}\nengine = \"cluster\"\n[cluster]\nurl = \"sc://h\"\n{rest}");
    let settings = read(&on_cluster("")).expect("the settings are good");
    let lake = settings.cluster.expect("there is one").lake;
    assert!(lake.starts_with("file:///") && lake.ends_with("/lake"), "{lake}");
    let settings = read(&on_cluster("lake = \"s3a://b/lake/\"")).expect("the settings are good");
    assert_eq!(settings.cluster.expect("there is one").lake, "s3a://b/lake");
    for (rest, told) in [
        ("lake = \"elsewhere\"", "cluster.lake"),
        ("lake = \"s3a://key:secret@b\"", "without any password"),
    ] {
        let error = read(&on_cluster(rest)).expect_err(rest);
        assert!(error.contains(told) && !error.contains("secret"), "{error}");
    }
    let error = read(&on_cluster("").replacen("sc://h", "sc://h/;token=secret;use_ssl=false", 1));
    let error = error.expect_err("a token in the clear");
    assert!(
        error.starts_with("cluster.url: the token") && !error.contains("secret"),
        "{error}"
    );
    let error = read(&GOOD.replacen("id = \"J1\"", "id = \"J1\"\nengine = \"auto\"", 1));
    let error = error.expect_err("no cluster");
    assert!(
        error.starts_with("job \"J1\": engine: there is no [cluster] table"),
        "{error}"
    );
    // A token is only needed by a run.
    let settings = read(&on_cluster("").replacen("sc://h", "sc://h/;token=${GRISTMILL_NO_SUCH}", 1));
    let client = settings
        .expect("the settings are good")
        .cluster
        .expect("there is one")
        .client;
    assert!(
        client
            .expect_err("no token")
            .contains("GRISTMILL_NO_SUCH is not set")
    );
}
