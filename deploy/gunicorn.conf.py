"""How gunicorn serves Pithead. Everything here can be overridden on its command line or by the variables named.

One process with threads is the embedded way (SQLite, limits in the process). With PostgreSQL and Redis set
WEB_CONCURRENCY to the number of cores.
"""

import os
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

# The request log is the application's, without query strings; gunicorn's own would write them.
accesslog = None
errorlog = "-"
loglevel = os.environ.get("GUNICORN_LOG_LEVEL", "info")
# No remote control: a supervisor's signals are enough.
control_socket_disable = True
