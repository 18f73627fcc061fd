# Built in two stages, so that the image that runs carries neither pip's cache nor what only the build needs.

FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /srv/rata
RUN python -m venv /opt/venv
# what changes seldom comes first: a change of code does not install the lock again
COPY requirements/base.txt requirements/
RUN /opt/venv/bin/pip install --require-hashes --only-binary :all: -r requirements/base.txt
COPY pyproject.toml LICENSE NOTICE ./
COPY deploy/wheels.py deploy/
COPY openapi/rata.v1.json openapi/
COPY docs docs
COPY migrations migrations
COPY app app
# what `rata --version` prints, since there is no git here: --build-arg SOURCE_REVISION=$(git rev-parse --short=12 HEAD)
ARG SOURCE_REVISION=
RUN /opt/venv/bin/pip install --no-deps --no-build-isolation --no-index .

FROM python:3.11-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    RATA_HOST=0.0.0.0 \
    RATA_PORT=8000 \
    RATA_DATABASE_URL=sqlite:////var/lib/rata/rata.db \
    RATA_DEMO_FOLDER=/var/lib/rata
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/rata rata
WORKDIR /var/lib/rata
COPY --from=build /opt/venv /opt/venv
USER rata
# only for the embedded database and other files of a single machine; with PostgreSQL nothing is kept here
VOLUME /var/lib/rata
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f\"http://127.0.0.1:{os.environ['RATA_PORT']}/health\", timeout=4)"]
# `rata migrate` is a command of its own, run once before the service: several workers must not race to migrate
ENTRYPOINT ["rata"]
CMD ["serve"]
