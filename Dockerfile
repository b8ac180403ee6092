# OpsMantik with its own database, as an ordinary user. Data lives in the volume: keep it, and keep copies (docs/operating.md).
#   docker build -t opsmantik . && docker run -d -p 127.0.0.1:8000:8000 -v opsmantik:/var/lib/opsmantik opsmantik
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN python -m venv /opt/opsmantik \
 && /opt/opsmantik/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/run.txt
COPY . .
RUN /opt/opsmantik/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .

FROM python:3.13-slim-bookworm
# A user with a name: PostgreSQL refuses to run as one without.
RUN groupadd --system --gid 10001 opsmantik \
 && useradd --system --uid 10001 --gid 10001 --home-dir /var/lib/opsmantik --create-home --shell /usr/sbin/nologin opsmantik \
 && chmod 0700 /var/lib/opsmantik
COPY --from=build /opt/opsmantik /opt/opsmantik
ENV PATH=/opt/opsmantik/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    OPSMANTIK_HOME=/var/lib/opsmantik \
    OPSMANTIK_HOST=0.0.0.0
USER 10001:10001
WORKDIR /var/lib/opsmantik
VOLUME /var/lib/opsmantik
EXPOSE 8000
# It drains, writes what waits and stops the database at SIGTERM: give it two minutes (docker stop --time 120).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('OPSMANTIK_PORT', '8000') + '/readyz', timeout=4)"]
ENTRYPOINT ["opsmantik"]
CMD ["up"]
