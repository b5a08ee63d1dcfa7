//! How each block of commands in the documents is tested. `commands.rs` compares this table with the documents.

/// How a block of commands is tested.
pub(crate) enum Fate {
    /// It is run here, and its commands end with these exit codes; an empty list means that all succeed.
    Here(&'static [i32]),
    /// A test of this name runs it.
    By(&'static str),
    /// A test of this name does the same in another way.
    Like(&'static str, &'static str),
    /// No test runs it, for this reason.
    Not(&'static str),
    /// It is the output of commands, in a document whose test expects it without a language.
    Printed,
}

use Fate::{By, Here, Like, Not, Printed};

/// Document, the beginning of the block, and how it is tested, in the order of each document.
pub(crate) const BLOCKS: &[(&str, &str, Fate)] = &[
    ("README.md", "tar -xzf", By("the_two_minutes_of_the_readme_work_with_a_release")),
    (
        "README.md",
        "make run",
        Like("the_demo_runs_until_it_is_told_to_stop", "make passes the same flags"),
    ),
    ("docs/capacity.md", "ENVOY_PATH=", By("open_streams_hold_no_policy")),
    ("docs/configure.md", "zonegate config check", Here(&[])),
    ("docs/configure.md", "kumactl get global-secrets", Here(&[])),
    (
        "docs/global-kds.md",
        "make wasm",
        By("the_gateway_of_a_global_control_plane_is_the_shipped_one_at_another_port"),
    ),
    ("docs/global-kds.md", "kumactl get", By("the_commands_of_the_page_bring_the_first_zone_in")),
    ("docs/global-kds.md", "curl -s", By("the_commands_of_the_page_bring_the_first_zone_in")),
    ("docs/global-kds.md", "zonegate generate", Here(&[])),
    ("docs/global-kds.md", "sudo install -d", By("the_side_of_a_zone_finds_its_files")),
    (
        "docs/global-kds.md",
        "kubectl -n",
        Like("the_side_of_a_zone_fits_into_the_deployment_of_kuma", "the patch, without a cluster"),
    ),
    ("docs/global-kds.md", "sudo install -m 600", Here(&[])),
    (
        "docs/global-kds.md",
        "zonegate sync",
        Like(
            "what_is_revoked_at_the_global_control_plane_takes_the_zone_off",
            "with other ports and folders",
        ),
    ),
    (
        "docs/high-availability.md",
        "curl -X POST",
        By("the_command_that_drains_a_gateway_answers_as_the_page_says"),
    ),
    ("docs/install.md", "minisign", Like("a_signature_is_good_for_the_very_checksums", "by rsign")),
    (
        "docs/install.md",
        "sudo apt",
        Like(
            "the_installed_tool_runs_and_the_policies_name_what_is_there",
            "by dpkg into a folder",
        ),
    ),
    ("docs/install.md", "tar -xzf", By("the_commands_of_the_page_install_the_archive")),
    (
        "docs/install.md",
        "oras cp",
        Like(
            "what_is_pushed_is_pulled_by_its_digest",
            "by scripts/release-push, to a registry on this machine",
        ),
    ),
    ("docs/install.md", "docker build", Not("no test has a container engine; the page says so")),
    (
        "docs/install.md",
        "make wasm",
        By("the_files_are_installed_where_the_gateway_looks_for_them"),
    ),
    (
        "docs/kubernetes.md",
        "kubectl apply",
        Like("a_real_api_server_takes_the_manifests", "with every overlay"),
    ),
    (
        "docs/kubernetes.md",
        "helm install",
        Like("a_real_api_server_takes_the_manifests", "by helm template"),
    ),
    (
        "docs/kubernetes.md",
        "kubectl get",
        Like(
            "every_recorded_token_has_kumas_verdict_or_a_row",
            "the answers of these paths, recorded",
        ),
    ),
    ("docs/kuma.md", "curl -L", Not("it fetches Kuma, and then runs the tests with it")),
    ("docs/observe.md", "curl -s", By("commands_for_the_admin_interface_answer_as_the_pages_say")),
    ("docs/observe.md", "journalctl", Here(&[])),
    ("docs/observe.md", "curl -s", By("commands_for_the_admin_interface_answer_as_the_pages_say")),
    ("docs/observe.md", "journalctl", Here(&[])),
    ("docs/observe.md", "zonegate inspect", Here(&[1])),
    ("docs/observe.md", "journalctl", Here(&[])),
    ("docs/observe.md", "zonegate verify", Here(&[1])),
    ("docs/push.md", "cd /etc/zonegate/ecds", Here(&[])),
    ("docs/push.md", "zonegate config check", Here(&[0, 1])),
    ("docs/push.md", "mv", Here(&[])),
    ("docs/push.md", "zonegate config render", Here(&[])),
    ("docs/revoke.md", "zonegate revoke", Here(&[])),
    ("docs/revoke.md", "zonegate revoke", Here(&[])),
    ("docs/revoke.md", "zonegate verify", Here(&[1, 1])),
    ("docs/revoke.md", "zonegate revoke", Here(&[])),
    ("docs/rollout.md", "zonegate config render", Here(&[])),
    ("docs/rollout.md", "curl -s", By("commands_for_the_admin_interface_answer_as_the_pages_say")),
    ("docs/rollout.md", "zonegate config render", Here(&[])),
    ("docs/rollout.md", "openssl", Not("it must time out at a firewall")),
    ("docs/rotate.md", "zonegate config render", Here(&[])),
    ("docs/rotate.md", "curl -s", By("commands_for_the_admin_interface_answer_as_the_pages_say")),
    ("docs/rotate.md", "sudo install", Here(&[])),
    ("docs/service.md", "zonegate serve", By("the_service_starts_as_the_page_says")),
    ("docs/service.md", "zonegate config render", Here(&[])),
    ("docs/service.md", "zonegate serve", By("the_service_starts_as_the_page_says")),
    ("docs/service.md", "ssh -L", Not("it takes another machine")),
    ("docs/service.md", "curl -sL", By("the_page_of_the_service_is_fetched_without_a_browser")),
    ("docs/tokens.md", "zonegate generate", Here(&[])),
    ("docs/tokens.md", "zonegate generate", Here(&[])),
    ("docs/tokens.md", "zonegate inspect", Here(&[])),
    ("docs/tokens.md", "zonegate verify", Here(&[])),
    ("docs/tokens.md", "zonegate inspect", Here(&[1])),
    ("docs/tool.md", "zonegate generate", Here(&[])),
    ("docs/tool.md", "kumactl get global-secret ", Here(&[])),
    ("docs/tool.md", "zonegate verify", Here(&[])),
    ("docs/tool.md", "kumactl get global-secrets", Here(&[])),
    ("docs/tool.md", "zonegate sync", By("the_command_of_the_page_keeps_the_file")),
    ("docs/tool.md", "source", Here(&[])),
    (
        "docs/upgrade.md",
        "envoy -c",
        Like(
            "the_new_envoy_serves_and_the_old_ones_streams_can_still_be_revoked",
            "with shorter times",
        ),
    ),
    (
        "examples/global-kds/README.md",
        "mkdir",
        By("the_global_kds_example_works_as_its_readme_says"),
    ),
    ("examples/global-kds/README.md", "1. ", Printed),
    ("examples/global-kds/README.md", "cp east-new", Here(&[])),
    ("examples/offline-issuing/README.md", "mkdir", By("a_token_issued_offline_is_let_in")),
    ("examples/offline-issuing/README.md", "1. ", Printed),
    ("examples/prometheus/README.md", "promtool", By("prometheus_takes_its_files")),
    ("examples/revocation/README.md", "mkdir", By("of_two_tokens_the_leaked_one_is_cut")),
    ("examples/revocation/README.md", "1. ", Printed),
    (
        "examples/revocation/README.md",
        "echo",
        Like("what_kumactl_revokes_is_refused_and_cut_by_the_gate", "with the secret in a file"),
    ),
    ("examples/rotation/README.md", "mkdir", By("the_rotation_goes_as_its_readme_says")),
    ("examples/rotation/README.md", "1. ", Printed),
    ("examples/rotation/README.md", "cp /tmp/rotation", Here(&[])),
    (
        "examples/sync-universal/README.md",
        "KUMA_REPORTS_ENABLED",
        Like("the_example_goes_as_its_readme_says", "with ports of its own"),
    ),
    ("examples/sync-universal/README.md", "mkdir", By("the_example_goes_as_its_readme_says")),
    ("examples/sync-universal/README.md", "1. ", Printed),
    (
        "examples/sync-universal/README.md",
        "kumactl generate",
        Like("a_control_plane_wants_the_token_of_an_admin", "with another name"),
    ),
];
