"""Which test runs which examples of the project's pages."""

from typing import NamedTuple

from tests.processes import REPOSITORY

SHOWN = {"text", "mermaid"}
"""Languages of what nobody can run."""
PAGES = sorted(
    str(page.relative_to(REPOSITORY))
    for pattern in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/**/*.md",
        "deploy/**/*.md",
        "examples/*.md",
        "clients/js/*.md",
    )
    for page in REPOSITORY.glob(pattern)
)


class Claim(NamedTuple):
    """All examples of a page in one language, or those below a heading, are run by a test."""

    page: str
    under: str
    """A heading; empty: the whole page."""
    language: str
    test: str
    """Its file and its name. The file reads the examples from the page."""


_DOCS, _RUNNING, _UP = "tests/e2e/test_docs.py", "tests/e2e/test_docs_running.py", "tests/e2e/test_docs_up.py"
_EMBED, _JS = "tests/browser/test_embed.py", "tests/browser/test_client_readme.py"
_EXAMPLES, _HOOK = "tests/clients/test_examples.py", "tests/e2e/test_moderation_hook.py"
_CREDENTIALS, _WHEEL = "tests/browser/test_credentials.py", "tests/e2e/test_wheel.py"
_PROVIDER = "An identity provider that publishes its keys"
_TRIAL = "To try it without one"

CLAIMS = [
    Claim("README.md", "Live comments", "sh", f"{_UP}::test_the_system_greets_with_a_stream"),
    Claim("README.md", "Try it", "bash", f"{_DOCS}::test_the_first_steps_show_what_they_say"),
    Claim("README.md", "From a page", "js", f"{_JS}::test_the_example_of_the_first_page_runs"),
    Claim("README.md", "From Python", "python", f"{_WHEEL}::test_the_pages_python_examples_run_there"),
    Claim("docs/tour.md", "", "sh", f"{_UP}::test_the_system_greets_with_a_stream"),
    Claim("docs/tour.md", "", "bash", f"{_DOCS}::test_the_tour_shows_what_it_says"),
    Claim("docs/many-streams.md", "", "bash", f"{_DOCS}::test_many_streams_come_on_one_connection"),
    Claim("docs/grpc-web.md", "", "bash", f"{_DOCS}::test_a_feed_comes_by_grpc_web"),
    Claim("docs/terminal.md", "", "bash", f"{_DOCS}::test_the_terminal_shows_what_it_says"),
    Claim("docs/python.md", "", "sh", f"{_WHEEL}::installed"),
    Claim("docs/python.md", "", "python", f"{_WHEEL}::test_the_pages_python_examples_run_there"),
    Claim("docs/go.md", "", "go", f"{_EXAMPLES}::test_the_how_to_for_go_keeps_its_place_and_repeats_what_passes"),
    Claim("docs/go.md", "", "bash", f"{_EXAMPLES}::test_the_how_to_for_go_keeps_its_place_and_repeats_what_passes"),
    Claim("examples/README.md", "Generate, and run", "bash", f"{_EXAMPLES}::posts_and_watches"),
    Claim("examples/README.md", "Go", "bash", f"{_EXAMPLES}::test_go_posts_and_watches"),
    Claim("examples/README.md", "TypeScript", "bash", f"{_EXAMPLES}::test_typescript_posts_and_watches"),
    Claim("examples/README.md", "Java", "bash", f"{_EXAMPLES}::test_java_is_generated"),
    Claim("docs/embed.md", "In your own page", "sh", f"{_UP}::test_pages_are_served_and_let_in"),
    Claim("docs/embed.md", "The broadcast", "html", f"{_EMBED}::test_a_page_of_ones_own_watches_and_posts"),
    Claim("docs/embed.md", "The broadcast", "js", f"{_EMBED}::test_a_page_of_ones_own_watches_and_posts"),
    Claim("docs/embed.md", "The recording", "html", f"{_EMBED}::test_a_page_of_ones_own_plays_a_recording"),
    Claim("clients/js/README.md", "", "html", f"{_JS}::run"),
    Claim("clients/js/README.md", "Watch and post", "js", f"{_JS}::test_one_watches_and_posts"),
    Claim("clients/js/README.md", "Beside a player", "js", f"{_JS}::test_comments_appear_beside_the_player"),
    Claim("clients/js/README.md", "What one is told", "js", f"{_JS}::test_what_one_is_told"),
    Claim("docs/tokens.md", _PROVIDER, "sh", f"{_UP}::test_the_settings_for_an_identity_provider_are_taken"),
    Claim("docs/tokens.md", _TRIAL, "python", f"{_UP}::test_a_user_of_an_identity_provider_posts"),
    Claim("docs/tokens.md", _TRIAL, "bash", f"{_UP}::test_a_user_of_an_identity_provider_posts"),
    Claim(
        "docs/tokens.md",
        "A backend that signs by itself",
        "python",
        f"{_UP}::test_a_backend_signs_with_the_shared_secret",
    ),
    Claim("docs/tokens.md", "In a browser", "js", f"{_CREDENTIALS}::test_a_page_watches_a_private_stream_by_ticket"),
    Claim("docs/moderation.md", "", "sh", f"{_HOOK}::moderator"),
    Claim("docs/moderation.md", "A complete one", "python", f"{_HOOK}::moderator"),
    Claim("docs/moderation.md", "Its lag", "python", f"{_HOOK}::lag"),
    Claim(
        "docs/running.md",
        "The parts apart",
        "bash",
        f"{_RUNNING}::test_what_is_posted_at_one_edge_is_seen_at_the_other",
    ),
    Claim(
        "docs/running.md", "The parts apart", "sh", f"{_RUNNING}::test_what_is_posted_at_one_edge_is_seen_at_the_other"
    ),
    Claim("docs/running.md", "NATS", "conf", f"{_RUNNING}::test_the_clusters_configuration_is_valid"),
    Claim("docs/running.md", "What to watch", "bash", f"{_RUNNING}::test_an_edge_is_ready_and_tells_its_metrics"),
    Claim(
        "docs/running.md",
        "When the database comes back without its last rows",
        "bash",
        f"{_RUNNING}::test_the_log_is_written_into_the_database_once_more",
    ),
    Claim("docs/running.md", "ScyllaDB", "bash", f"{_RUNNING}::test_a_keyspace_is_made"),
    Claim("docs/running.md", "Tiers of fanouts", "sh", f"{_RUNNING}::test_a_tier_below_has_the_feed_of_the_one_above"),
    Claim(
        "docs/running.md", "Tiers of fanouts", "bash", f"{_RUNNING}::test_a_tier_below_has_the_feed_of_the_one_above"
    ),
    Claim(
        "docs/running.md",
        "An edge on several cores, and one that leaves",
        "bash",
        f"{_RUNNING}::test_an_edge_is_renewed_and_leaves",
    ),
    Claim("deploy/envoy/README.md", "", "sh", "tests/e2e/test_envoy.py::test_the_pages_commands_put_envoy_in_front"),
]
