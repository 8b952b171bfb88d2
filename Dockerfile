# aura-harness, without a Python of one's own:
#
#   docker build -t aura-harness .
#   docker run --rm aura-harness gate
#   docker run --rm --network host -v "$PWD:/reports" aura-harness watch --redis redis://127.0.0.1:6379 --for 60s --report junit=/reports/watch.xml

FROM python:3.12-slim

COPY pyproject.toml constraints.txt README.md LICENSE /source/
COPY harness /source/harness
COPY contracts /source/contracts
COPY scenarios /source/scenarios
RUN pip install --no-cache-dir --constraint /source/constraints.txt /source && rm -r /source

# Reports are written to /reports; a mounted folder has to be writable for this user (or give --user).
RUN useradd --create-home --uid 10001 harness && install -d -o harness /reports
USER harness
WORKDIR /reports

ENTRYPOINT ["aura-harness"]
CMD ["gate"]
