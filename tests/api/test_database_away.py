"""While PostgreSQL is away calls are told so; when it is back they are answered, by the same process."""

import signal

from service.db.engine.database import open_database
from service.db.engine.migrate import migrate
from tests.api.world import Cloud, expect
from tests.postgres import server


def test_calls_are_refused_while_the_database_is_away_and_answered_when_it_is_back(tmp_path, schema):
    with server(synchronous_commit="on") as one:
        db = open_database(one.new())
        migrate(db)
        cloud = Cloud(tmp_path, schema, db).make_tokens().furnish()
        one.stop(signal.SIGQUIT)
        for answer in (cloud.api.get("/v1/vms"), cloud.create()):
            expect(answer, 503, "database.lost")
            assert answer.headers["retry-after"]
        assert cloud.api.get("/healthz").status_code == 200
        one.start()
        cloud.done(cloud.create())
        cloud.assert_clean(vms=1)
        cloud.ctx.db.close_kept()
