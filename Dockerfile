# The image of a worker: the locked packages and this project, and nothing that builds them.
FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements/build.lock requirements/runtime.lock requirements/compiled.lock ./
RUN python -m venv /tools \
 && /tools/bin/pip install --no-cache-dir --require-hashes --requirement build.lock \
 && python -m venv --without-pip /winback \
 && /tools/bin/uv pip install --no-cache --compile-bytecode --python /winback/bin/python --require-hashes \
    --requirement runtime.lock
COPY pyproject.toml LICENSE README.md* ./
COPY schemas schemas
COPY streams streams
COPY agents agents
RUN /tools/bin/hatchling build --target wheel --directory wheels \
 && /tools/bin/uv pip install --no-cache --compile-bytecode --no-deps --python /winback/bin/python wheels/*.whl
# The fold is compiled in an environment of its own (docs/operations.md, Compiled code).
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && python -m venv --without-pip /compiling \
 && /tools/bin/uv pip install --no-cache --python /compiling/bin/python --require-hashes \
    --requirement runtime.lock --requirement compiled.lock \
 && /tools/bin/uv pip install --no-cache --no-deps --python /compiling/bin/python wheels/*.whl \
 && /compiling/bin/winback compile \
 && cp -r /compiling/lib/python3.11/site-packages/streams/_compiled /winback/lib/python3.11/site-packages/streams/

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home winback
COPY --from=build /winback /winback
ENV PATH=/winback/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER winback
WORKDIR /home/winback
# Inside of the container the views are always asked at loopback; who else may ask is WINBACK_HTTP_HOST's matter.
HEALTHCHECK --start-period=60s --interval=10s --timeout=5s CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('WINBACK_HTTP_PORT', '6066')}/livez\")"]
ENTRYPOINT ["winback"]
CMD ["worker"]
