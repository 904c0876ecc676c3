"""Certificates for tests, made by the openssl program: authorities, and what they sign. P-256, or RSA on demand."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Files:
    """Paths of a certificate and its key."""

    cert: Path
    key: Path


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _period(days: int) -> list[str]:
    """OpenSSL 3.4 refuses days that are negative, and knows dates; before it is the other way round."""
    if days < 0:
        known = subprocess.run(["openssl", "x509", "-help"], capture_output=True, text=True)
        if "-not_after" in known.stdout + known.stderr:
            return ["-not_before", "20200101000000Z", "-not_after", "20200102000000Z"]
    return ["-days", str(days)]


def make(
    folder: Path, name: str, names: str = "", by: Files | None = None, *, days: int = 30, rsa: bool = False,
    cn: str | None = None,
) -> Files:  # fmt: skip
    """Write `name`.pem and `name`.key. `names`: "DNS:a.test,IP:127.0.0.1". Without `by`: an authority, of its own.

    days -1: it has expired."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Files(folder / f"{name}.pem", folder / f"{name}.key")
    kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    subject = ["-subj", f"/CN={cn or name}"]
    extensions = ["-addext", f"subjectAltName={names}"] if names else []
    key = ["-newkey", *kind, "-nodes", "-keyout", str(made.key)]
    if by is None:
        usage = ["-addext", "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"]
        _openssl("req", "-x509", *key, *subject, *extensions, *usage, *_period(days), "-out", str(made.cert))
        return made
    request, options = folder / f"{name}.csr", folder / f"{name}.ext"
    options.write_text(
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"  # Python 3.13 verifies by the letter of RFC 5280
        + (f"subjectAltName={names}\n" if names else "basicConstraints=CA:FALSE\n")
    )
    _openssl("req", "-new", *key, *subject, "-out", str(request))
    issuer = ["-CA", str(by.cert), "-CAkey", str(by.key), "-CAcreateserial"]
    _openssl(
        "x509", "-req", "-in", str(request), *issuer, *_period(days), "-extfile", str(options), "-out",
        str(made.cert),
    )  # fmt: skip
    return made
