"""Authorities and certificates, made with OpenSSL for a test."""

import subprocess
from pathlib import Path


class Authority:
    """Signs certificates.

    Parameters
    ----------
    folder
        Where its files and those of what it signs go.
    name
        Its own, and that of its files.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self.file = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        _openssl(
            *("req", "-x509", *_NEW_KEY, "-keyout", self._key, "-out", self.file, "-subj", f"/CN={name}"),
            *("-days", "2", "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"),
        )

    def sign(self, name: str, alt_name: str = "IP:127.0.0.1", *, expired: bool = False) -> Path:
        """Return a file (PEM) with a new key and its certificate.

        Parameters
        ----------
        name
            Its common name, and that of the file.
        alt_name
            What it is good for, as OpenSSL has it: ``DNS:kafka.example``.
        expired
            True: it was good until 2020.
        """
        key, request, signed = (self._folder / f"{name}.{end}" for end in ("key", "csr", "crt"))
        _openssl("req", *_NEW_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        config = self._folder / f"{name}.cnf"
        (self._folder / f"{name}.index").touch()
        config.write_text(
            f"[ca]\ndefault_ca=us\n[us]\ndatabase={self._folder}/{name}.index\nnew_certs_dir={self._folder}\n"
            "rand_serial=yes\ndefault_md=sha256\npolicy=any\nunique_subject=no\nx509_extensions=more\n[any]\ncommonName=supplied\n"
            f"[more]\nsubjectAltName={alt_name}\n"
        )
        dates = ("-startdate", "20190101000000Z", "-enddate", "20200101000000Z") if expired else ("-days", "2")
        _openssl(
            *("ca", "-batch", "-notext", "-config", config, "-cert", self.file, "-keyfile", self._key, *dates),
            *("-in", request, "-out", signed),
        )
        both = self._folder / f"{name}.both.pem"
        both.write_text(key.read_text() + signed.read_text())
        return both


_NEW_KEY = ("-newkey", "rsa:2048", "-nodes")


def _openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
