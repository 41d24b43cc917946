# Two images: Airflow with the pipeline (targets development and production), and the emulators (target emulators).
#
#   docker build --target production --tag odre:production .
#
# docker-compose.yaml builds the other two.

# Another base, from a registry of your own for instance: --build-arg AIRFLOW_IMAGE=… or PYTHON_IMAGE=….
ARG AIRFLOW_IMAGE
ARG PYTHON_IMAGE
# Without, these two, each named once. A digest goes here, after the tag (…:3.3.1-python3.11@sha256:…); `docker buildx
# imagetools inspect apache/airflow:3.3.1-python3.11` prints it. They are stages, and no defaults of the arguments, since
# Dependabot reads FROM lines alone: from the first digest on, it proposes the later ones (.github/dependabot.yml).
FROM apache/airflow:3.3.1-python3.11 AS official-airflow
FROM python:3.11-slim-bookworm AS official-python

# Airflow, dbt and what they need. The official image brings providers that the project does not use and whose pins
# differ: the environment is made to hold our list and nothing else, as everywhere. uv stays outside of it.
FROM ${AIRFLOW_IMAGE:-official-airflow} AS environment
ARG PIP_INDEX_URL=https://pypi.org/simple
COPY --chown=airflow:0 requirements/tools.txt requirements/image.txt /tmp/requirements/
RUN python -m venv /tmp/tools \
    && /tmp/tools/bin/pip install --no-cache-dir --require-hashes --requirement /tmp/requirements/tools.txt \
    && UV_DEFAULT_INDEX="${PIP_INDEX_URL}" UV_HTTP_TIMEOUT=300 /tmp/tools/bin/uv pip sync --no-cache --require-hashes \
        --python "${VIRTUAL_ENV}/bin/python" /tmp/requirements/image.txt \
    && /tmp/tools/bin/uv pip check --python "${VIRTUAL_ENV}/bin/python" \
    && rm -rf /tmp/tools /tmp/requirements
# Bytecode, or each container would make its own as it starts. Some packages bring files for other Pythons, which do not
# compile, and large parts that nothing here imports.
RUN python -m compileall -qq -j 0 -x '/(ads|googleapiclient|litellm|ray|scipy|sklearn|vertexai|aiplatform_\w+)/' \
        "${VIRTUAL_ENV}/lib" || true
USER 0
# Where the volumes go: a new volume takes owner and rights of the folder that it covers. Group 0 may write, as in the
# official image, so that any user with that group can run the containers.
RUN install -d -o airflow -g 0 -m 0770 /opt/odre/secrets /opt/odre/dbt /opt/airflow/logs \
    && install -d -o airflow -g 0 -m 0775 /opt/odre /opt/odre/database
USER 50000
WORKDIR /opt/airflow
# The entry point would ask the database whether it is there before each start, seconds of work: Compose's order of
# start, and retries elsewhere, do that.
ENV PYTHONPATH=/opt/airflow/plugins:/opt/airflow \
    CONNECTION_CHECK_MAX_COUNT=0
# Of the api-server; docker-compose.yaml names another for each other service.
HEALTHCHECK --interval=15s --timeout=10s --start-period=90s CMD ["python", "-S", "-m", "local.health", "api-server"]
CMD ["api-server"]

# The code is mounted: docker-compose.yaml. Changing it rebuilds nothing.
FROM environment AS development

# The code, and the manifest of the dbt project, are in the image.
FROM environment AS production
COPY --chown=airflow:0 plugins /opt/airflow/plugins
COPY --chown=airflow:0 local /opt/airflow/local
COPY --chown=airflow:0 include /opt/airflow/include
# Profile and target as Cosmos will name them: what is parsed here is not parsed again by each task.
RUN dbt --quiet parse --project-dir include/dbt --profiles-dir include/dbt --profile energy --target google \
    --log-path /tmp/dbt
COPY --chown=airflow:0 dags /opt/airflow/dags

# Cloud Storage, BigQuery and the stand-in of ODRÉ: an environment of its own, since their pins cannot live with
# Airflow's. The list is complete, so nothing is resolved; one package asks for a newer Python than it needs.
FROM ${PYTHON_IMAGE:-official-python} AS emulators
ARG PIP_INDEX_URL=https://pypi.org/simple
COPY requirements/emulators.txt /tmp/requirements/
RUN pip install --no-cache-dir --index-url "${PIP_INDEX_URL}" --no-deps --ignore-requires-python --require-hashes \
        --requirement /tmp/requirements/emulators.txt \
    && useradd --uid 10001 --create-home odre \
    && install -d -o odre -g odre -m 0755 /data/storage /data/bigquery /data/odre \
    && install -o odre -g odre -m 0644 /dev/null /data/odre/faults.yaml
ENV PYTHONPATH=/app/plugins:/app \
    PYTHONUNBUFFERED=1
WORKDIR /app
COPY include/contracts /app/include/contracts
COPY plugins/odre /app/plugins/odre
COPY emulators /app/emulators
COPY local/__init__.py local/health.py /app/local/
USER 10001
# Of the Cloud Storage emulator; docker-compose.yaml names another for each other service.
HEALTHCHECK --interval=15s --timeout=10s --start-period=90s CMD ["python", "-S", "-m", "local.health", "storage"]
CMD ["python", "-m", "emulators.storage", "--data-dir=/data/storage", "start", "--host=0.0.0.0", "--port=9023", "--quiet"]
