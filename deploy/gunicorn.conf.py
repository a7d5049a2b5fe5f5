"""How gunicorn serves Pithead. Everything here can be overridden on its command line or by the variables named.

One process with threads is the embedded way (SQLite, limits in the process). With PostgreSQL and Redis set
WEB_CONCURRENCY to the number of cores.
"""

import os
import shutil
import tempfile
from pathlib import Path

wsgi_app = "config.wsgi"
bind = os.environ.get("BIND", f"127.0.0.1:{os.environ.get('PORT', '8000')}")

worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
threads = int(os.environ.get("WEB_THREADS", "8"))
# Never preload: a database connection made before the fork would be shared by the workers.
preload_app = False

# A worker that is stuck is replaced after `timeout`; on SIGTERM requests in flight get `graceful_timeout` to finish.
timeout = 30
graceful_timeout = 25
# Longer than a usual proxy's own idle time, so that it is the proxy who closes and no request meets a closed socket.
keepalive = 75
# The heartbeat file in memory: on a busy disk a worker can seem dead.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 gunicorn opens it safely

# A key is far shorter than this; nothing else of ours is long.
limit_request_line = 4094
limit_request_field_size = 8190

# The request log is the application's, without query strings; gunicorn's own would write them. Keys are masked in it
# (config/wsgi.py), should you switch it on; what else people put into addresses is not.
accesslog = None
errorlog = "-"
loglevel = os.environ.get("GUNICORN_LOG_LEVEL", "info")
# No remote control: a supervisor's signals are enough.
control_socket_disable = True


# /metrics tells of all workers: each writes its numbers into a file there, and whichever is asked adds them up.
METRICS = "PROMETHEUS_MULTIPROC_DIR"
OURS = "pithead-metrics-"


def on_starting(server):
    if server.cfg.workers < 2 or "GUNICORN_PID" in os.environ:  # one needs none; USR2 goes on with what there is
        return
    if METRICS not in os.environ:
        os.environ[METRICS] = tempfile.mkdtemp(prefix=OURS, dir=worker_tmp_dir)
    folder = Path(os.environ[METRICS])
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob("*.db"):  # of a server before this one
        left.unlink()


def child_exit(server, worker):
    if METRICS in os.environ:
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)


def on_exit(server):
    folder = Path(os.environ.get(METRICS, ""))
    if folder.name.startswith(OURS) and not server.reexec_pid:
        shutil.rmtree(folder, ignore_errors=True)
