"""The jars of the embedded Kafka, from Maven Central, kept in jgo's cache."""

import fcntl
import logging
import os
from typing import Any

from tickertape.stream.errors import EmbeddedKafkaError

log = logging.getLogger(__name__)

# Kafka logs through SLF4J and brings no backend: without one its log is empty.
JARS = "org.apache.kafka:kafka_2.13:4.1.0+org.slf4j:slf4j-simple:1.7.36"


def class_path() -> str:
    """Return Kafka's class path; the first call on a machine downloads the jars.

    Raises
    ------
    EmbeddedKafkaError
        The jars can't be downloaded.
    """
    import jgo
    from jgo.config import GlobalSettings
    from jgo.maven import PythonResolver

    class Resolver(PythonResolver):  # type: ignore[misc]  # jgo has no types
        def download(self, artifact: Any) -> Any:
            if artifact.filename.startswith("kafka_"):
                log.warning("fetching Kafka from Maven Central, this once: 43 MB")
            # jgo writes in place, and would use an incomplete file from then on.
            try:
                return super().download(artifact)
            except BaseException:
                if artifact.cached_path is not None:
                    artifact.cached_path.unlink(missing_ok=True)
                raise

    cache = GlobalSettings.load().cache_dir
    try:
        cache.mkdir(parents=True, exist_ok=True)
        # Two processes that start for the first time at once would write the same files.
        with (cache / "tickertape.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            jars = jgo.build(JARS, resolver=Resolver()).all_jars
    except Exception as error:  # any error of jgo or requests means no jars
        raise EmbeddedKafkaError(
            f"the embedded Kafka needs its jars once from Maven Central (43 MB, kept in {cache}) and can't get them "
            f"({type(error).__name__}): go online for the first start, or set TICKERTAPE_BROKER to a Kafka that runs"
        ) from error
    return os.pathsep.join(map(str, jars))
