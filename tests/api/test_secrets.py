"""No secret is in a log, a database row that is not its own, an error, or the arguments of a process; and every line of
the log says which request or job it belongs to."""

import io
import json
import logging
import sys
import threading

import pytest
import structlog

from service import logs
from service.db.tables import TABLES, Vm
from service.jobs.job_tables import TABLES as JOB_TABLES
from tests.api.folk import PASSWORD, bearing, user
from tests.api.world import KEY, expect

USER_DATA = "#cloud-config\nchpasswd: {list: ['ann:hunter2-in-user-data']}\n"
NEW_PASSWORD = "quite another pass phrase"
IDEMPOTENCY_KEY = "key-that-nobody-else-knows"
STARTED: list[str] = []
sys.addaudithook(lambda event, args: STARTED.append(str(args)) if event == "subprocess.Popen" else None)


@pytest.fixture
def log():
    """What the service logs, as it does in production."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level, hooks = root.handlers[:], root.level, (sys.excepthook, threading.excepthook)
    stream = io.StringIO()
    logs.set_up_logging(stream)
    yield stream
    structlog.configure(**before)
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks
    logging.captureWarnings(capture=False)


def lines(log):
    return [json.loads(line) for line in log.getvalue().splitlines()]


def fail(moment):
    if moment == "after start":
        raise RuntimeError("the driver broke")


def drive(cloud):
    """Everything that has a secret in it, also where it goes wrong; returns the secrets."""
    user(cloud, "ann", "user", "default", password=PASSWORD)
    expect(
        cloud.client(None).post("/v1/login", json={"user": "ann", "password": "wrong-guess-1"}), 401, "auth.bad_login"
    )
    expect(cloud.client(None).post("/v1/login", json={"user": 7, "password": PASSWORD}), 422, "request.invalid")
    login = cloud.client(None).post("/v1/login", json={"user": "ann", "password": PASSWORD}).json()["token"]
    ann = bearing(cloud, login)
    changed = ann.put("/v1/me/password", json={"old_password": PASSWORD, "password": NEW_PASSWORD})
    assert changed.status_code == 204, changed.text
    login = cloud.client(None).post("/v1/login", json={"user": "ann", "password": NEW_PASSWORD}).json()["token"]
    headers = {"Idempotency-Key": IDEMPOTENCY_KEY}
    token = bearing(cloud, login).post("/v1/tokens", json={"name": "ci"}, headers=headers).json()["token"]
    ann = bearing(cloud, token)
    cloud.observe()
    body = {"image": "mini", "flavor": "small", "user_data": USER_DATA, "ssh_keys": [KEY]}
    cloud.done(ann.post("/v1/vms", json=body | {"name": "web"}))
    ann.post("/v1/vms", json=body | {"name": "web"})
    ann.post("/v1/vms", json=body | {"name": "n" * 99})
    ann.put("/v1/vms/web", json=body | {"name": "web", "user_data": USER_DATA + "# more"})
    vnc = ann.post("/v1/vms/web/vnc", json={"seconds": 60}, headers={"Idempotency-Key": IDEMPOTENCY_KEY + "2"}).json()
    cloud.settle()
    cloud.hook = fail
    cloud.ended(ann.post("/v1/vms", json=body | {"name": "broken"}))
    cloud.hook = lambda moment: None
    ann.get("/v1/vms/web", headers={"Authorization": f"Bearer {token}x"})
    shown = json.dumps(ann.get("/v1/vms/web").json())
    assert "hunter2" not in shown
    return {"tokens": [login, token], "passwords": [PASSWORD, NEW_PASSWORD, "wrong-guess-1"], "vnc": [vnc["password"]]}


def test_no_secret_is_in_the_log_in_other_rows_or_in_arguments(cloud, log, tmp_path):
    STARTED.clear()
    secrets = [one for kind in drive(cloud).values() for one in kind]
    secrets += ["hunter2-in-user-data", IDEMPOTENCY_KEY]
    told = log.getvalue()
    assert len(lines(log)) > 15
    rows = {table: [str(row.__data__) for row in cloud.rows(table)] for table in (*TABLES, *JOB_TABLES)}
    for secret in secrets:
        assert secret not in told
        assert not [argument for argument in STARTED if secret in argument]
        found = {table.__name__ for table, texts in rows.items() if any(secret in text for text in texts)}
        assert found <= ({"Vm"} if secret.startswith("hunter2") else set()), (secret, found)
    assert [vm.user_data for vm in cloud.rows(Vm)] == [USER_DATA]


def test_tokens_passwords_and_what_vnc_wants_are_nowhere_on_the_disk(cloud, log):
    secrets = [one for kind in drive(cloud).values() for one in kind]
    files = [path for path in cloud.settings.state_dir.rglob("*") if path.is_file()]
    assert len(files) >= 2
    for path in files:
        content = path.read_bytes()
        assert [secret for secret in secrets if secret.encode() in content] == [], path


def test_every_line_of_a_request_has_its_id_and_every_line_of_a_job_both(cloud, log):
    cloud.observe()
    cloud.hook = fail
    answer = cloud.create("web", start="running")
    job = cloud.ended(answer)
    cloud.hook = lambda moment: None
    assert job["state"] == "failed"
    told = lines(log)
    asked = [line for line in told if line["event"] == "http.request" and line["path"] == "/v1/vms"]
    assert [line["request_id"] for line in asked] == [answer.headers["x-request-id"]]
    assert {"method", "status", "ms", "actor", "source", "level", "timestamp"} <= asked[0].keys()
    (failed,) = [line for line in told if line["event"] == "job.failed"]
    assert failed["job_id"] == job["id"]
    assert failed["job_kind"] == "create_vm"
    assert failed["request_id"] == answer.headers["x-request-id"]
    assert "the driver broke" in failed["exception"]
    assert all("request_id" in line for line in told if line["event"] == "http.request")


def test_a_refused_request_is_a_line_too_and_says_nothing_of_its_query(cloud, log):
    cloud.client(None).get("/v1/vms?name=hunter2")
    cloud.api.get("/nowhere?x=hunter2")
    told = lines(log)
    assert [(line["status"], line["actor"]) for line in told] == [(401, "-"), (404, "-")]
    assert "hunter2" not in log.getvalue()


@pytest.mark.parametrize("name", ["password", "vnc_password", "token", "Authorization", "user_data", "secret_key"])
def test_a_value_under_the_name_of_a_secret_is_withheld(log, name):
    structlog.get_logger().warning("careless", **{name: "hunter2"})
    (line,) = lines(log)
    assert line[name] == logs.WITHHELD


def test_libraries_warnings_and_uncaught_errors_are_json_too(log):
    logging.getLogger("some.library").error("it broke: %s", 7)
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    library, uncaught = lines(log)
    assert (library["event"], library["logger"]) == ("it broke: 7", "some.library")
    assert uncaught["event"] == "process.uncaught"
    assert "ZeroDivisionError" in uncaught["exception"]


def test_what_a_thread_does_for_a_job_carries_the_job_s_id(log):
    with structlog.contextvars.bound_contextvars(job_id="j1"):
        work = logs.carried(lambda: structlog.get_logger().warning("from afar"))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [line["job_id"] for line in lines(log)] == ["j1"]
