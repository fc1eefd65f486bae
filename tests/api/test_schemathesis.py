"""The API does what its description says, whatever is sent: generated requests, single ones and stories of several."""

import itertools
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import ignored_auth, missing_required_header, negative_data_rejection

from service.api import reference
from service.api.routes import ROUTES
from service.db.engine.database import open_database
from service.db.engine.migrate import migrate
from service.operations.registry import OPERATIONS
from service.worker.schedule import Periodic, Schedule
from tests.api.world import Cloud

ROOT = Path(__file__).parents[2]
GENERATED = settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
TOLD = settings(GENERATED, max_examples=8, stateful_step_count=6)
STORIES = ("flavors", "projects", "users", "tokens", "host-groups", "volumes|jobs", "vms|jobs", "hosts|jobs")
THERE = {"flavor": "small", "image": "mini", "network": "guests", "host": "host1", "pool": "vms"}
NOT_THERE = ("placement_groups", "placement_algorithm")  # named by chance they would end every story at once
# These look at how a request was made up; a story's is changed so that it leads somewhere.
NOT_OF_STORIES = [ignored_auth, negative_data_rejection, missing_required_header]
# A stream has no end that a generated request would wait for; a log-in tells the truth about every password it is sent.
NOT_GENERATED = r"^/v1/(events|login)$"


class Served:
    """The application of the cloud that the tests have. Its description can be had before there is any."""

    cloud: Cloud

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/openapi.json":
            start_response("200 OK", [("Content-Type", "application/json")])
            return [reference.text(ROUTES).encode()]
        return self.cloud.app(environ, start_response)


served = Served()
config = SchemathesisConfig.from_path(ROOT / "schemathesis.toml")
schema = schemathesis.openapi.from_wsgi("/openapi.json", served, config=config).exclude(path_regex=NOT_GENERATED)


@pytest.fixture(scope="module", autouse=True)
def generated_cloud(tmp_path_factory) -> Cloud:
    """One cloud for all that is generated."""
    folder = tmp_path_factory.mktemp("generated")
    db = open_database(f"sqlite:///{folder / 'empty.db'}")
    migrate(db)
    db.close_kept()
    cloud = served.cloud = Cloud(folder / "cloud", folder / "empty.db").make_tokens().furnish()
    look = Periodic("observe_hosts", 10.0, "observe_hosts", OPERATIONS["observe_hosts"].steps_version)
    Schedule((look,)).tick(cloud.ctx, cloud.clock.now())
    return cloud


@schema.parametrize()
@GENERATED
def test_a_generated_request_is_answered_as_described(case, generated_cloud):
    case.call_and_validate(headers=bearer(generated_cloud), excluded_checks=[ignored_auth])
    generated_cloud.run_due()


def bearer(cloud: Cloud) -> dict[str, str]:
    return {"Authorization": f"Bearer {cloud.tokens['admin']}"}


@pytest.mark.parametrize("about", STORIES)
def test_a_generated_story_is_answered_as_described(about, furnished, tmp_path):
    model, database = furnished
    numbers, followed = itertools.count(), set()
    chapter = schema.include(path_regex=rf"^/v1/({about})(/|$)")

    class Story(chapter.as_state_machine()):
        def setup(self):
            served.cloud = Cloud(tmp_path / str(next(numbers)), database).like(model)

        def before_call(self, case):
            for name in ("project", "dry_run", "wait"):  # a project that is not there would end every story at once
                case.query.pop(name, None)
            if isinstance(case.body, dict):
                case.body |= {name: there for name, there in THERE.items() if case.body.get(name)}
                for name in NOT_THERE:
                    case.body.pop(name, None)

        def get_call_kwargs(self, case):
            return {"headers": bearer(model)}

        def validate_response(self, response, case, **_more):
            case.validate_response(response, excluded_checks=NOT_OF_STORIES)

        def after_call(self, response, case):
            served.cloud.run_due()
            if response.status_code < 300 and "{ref}" in case.path:
                followed.add(case.operation.label)

    Story.run(settings=TOLD)
    assert followed, "no story went beyond its first page"
