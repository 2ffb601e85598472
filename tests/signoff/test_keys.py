"""Keys and signers: who can sign, who counts, and that nothing secret is told or left lying about."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from runstone.signoff import keys, signers
from runstone.signoff.keys import BadKey
from runstone.signoff.lines import Line
from runstone.signoff.signers import BadSigners

PASSWORD = "correct horse"  # noqa: S105 - of keys that last as long as a test
LINE = Line(payload=b'{"x": 1}')


def never(name: str) -> str:
    pytest.fail(f"the password of {name} was asked for")


def typed(_name: str) -> str:
    return PASSWORD


def openssh(folder: Path, kind: str, password: str = "") -> Path:
    path = folder / f"ssh-{kind}"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", password, "-f", path], check=True)  # noqa: S607
    return path


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_new_key_signs_and_only_its_owner_can_read_it(kind: keys.Kind, tmp_path: Path) -> None:
    path = tmp_path / "ada"
    public = keys.make(path, kind, PASSWORD.encode())
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"ENCRYPTED" in path.read_bytes()
    assert keys.load_public(tmp_path / "ada.pub") == public
    key = keys.load_private(path, None, typed)
    assert key.public == public
    signed = key.sign(LINE)
    assert keys.verified_by(signed, public)
    assert not keys.verified_by(Line(payload=b"{}", signatures=signed.signatures), public)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
@pytest.mark.parametrize("password", ["", PASSWORD])
def test_a_key_of_openssh_signs(kind: str, password: str, tmp_path: Path) -> None:
    path = openssh(tmp_path, kind, password)
    key = keys.load_private(path, password.encode() or None, never)
    assert keys.verified_by(key.sign(LINE), keys.load_public(path.with_name(path.name + ".pub")))
    assert keys.openssh(key.public) in path.with_name(path.name + ".pub").read_text()


def test_a_password_is_asked_for_only_where_there_is_one(tmp_path: Path) -> None:
    keys.make(tmp_path / "plain", "ed25519", None)
    keys.load_private(tmp_path / "plain", None, never)
    keys.load_private(tmp_path / "plain", b"of another key", never)
    keys.load_private(openssh(tmp_path, "ed25519", PASSWORD), None, typed)


def test_a_password_comes_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert keys.password_of(None) is None
    monkeypatch.setenv(keys.PASSWORD_VARIABLE, "of the environment")
    assert keys.password_of(None) == b"of the environment"
    path = tmp_path / "password"
    path.write_bytes(b"of the file\r\nand a note\n")
    assert keys.password_of(path) == b"of the file"


def broken_key(kind: str, folder: Path) -> Path:
    path = folder / "key"
    match kind:
        case "wrong password":
            keys.make(path, "ed25519", b"another")
        case "wrong password of openssh":
            return openssh(folder, "ed25519", "another")
        case "public":
            keys.make(folder / "ada", "ed25519", None)
            return folder / "ada.pub"
        case "rsa" | "p384":
            key = (
                rsa.generate_private_key(65537, 2048)
                if kind == "rsa"
                else ec.generate_private_key(ec.SECP384R1())
            )
            pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
            path.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
        case "text":
            path.write_text("my key")
        case "broken":
            path.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
        case "giant":
            path.write_bytes(b" " * 100_000)
    return path


@pytest.mark.parametrize(
    "kind, says",
    [
        ("wrong password", "cannot be opened: its password is wrong"),
        ("wrong password of openssh", "cannot be opened: its password is wrong"),
        ("public", "is not a private key"),
        ("rsa", "key of another kind; ed25519 and ECDSA P-256"),
        ("p384", "key of another kind"),
        ("text", "is not a private key"),
        ("broken", "is not a private key"),
        ("giant", "is not a key"),
        ("missing", "cannot read"),
    ],
)
def test_a_key_that_cannot_sign_is_one_line_without_its_password(
    kind: str, says: str, tmp_path: Path
) -> None:
    path = broken_key(kind, tmp_path)
    with pytest.raises(BadKey, match=says) as caught:
        keys.load_private(path, PASSWORD.encode(), never)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert PASSWORD not in str(caught.value)
    assert caught.value.exit_code == 2


def test_without_bcrypt_a_key_of_openssh_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = openssh(tmp_path, "ed25519", PASSWORD)

    def without_bcrypt(*_: object) -> None:
        raise UnsupportedAlgorithm("Need bcrypt module")

    monkeypatch.setattr(serialization, "load_ssh_private_key", without_bcrypt)
    with pytest.raises(BadKey, match=r"bcrypt.*pip install 'cryptography\[ssh\]'"):
        keys.load_private(path, PASSWORD.encode(), never)


def test_a_private_key_is_no_public_one(tmp_path: Path) -> None:
    keys.make(tmp_path / "ada", "ed25519", None)
    with pytest.raises(BadKey, match="holds a private key; give the public one"):
        keys.load_public(tmp_path / "ada")
    assert keys.load_either(tmp_path / "ada", None, never) == keys.load_either(
        tmp_path / "ada.pub", None, never
    )


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    keys.make(tmp_path / "ada", "ed25519", None)
    before = (tmp_path / "ada").read_bytes()
    with pytest.raises(BadKey, match="never written over"):
        keys.make(tmp_path / "ada", "ed25519", None)
    assert (tmp_path / "ada").read_bytes() == before


# --- signers -----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("ada", "grace"):
        keys.make(tmp_path / name, "ed25519", None)
    return tmp_path


def listed(folder: Path, *entries: str) -> tuple[signers.Signer, ...]:
    path = folder / "signers.yaml"
    path.write_text("signers:\n" + "".join(f"- {{{each}}}\n" for each in entries))
    return signers.load(path)


def test_signers_by_file_by_line_and_by_pem(folder: Path) -> None:
    ada, grace = keys.load_public(folder / "ada.pub"), keys.load_public(folder / "grace.pub")
    found = listed(folder, "name: Ada, role: boss, key: ada.pub", f"name: Grace, key: {keys.openssh(grace)}")
    assert [(each.name, each.key) for each in found] == [("Ada", ada), ("Grace", grace)]
    assert str(found[0]) == f"Ada (boss, key {ada.keyid[:12]})"
    pem = folder / "pem.yaml"
    pem.write_text(
        "signers:\n- name: Ada\n  key: |\n" + "".join(f"    {each}\n" for each in ada.pem.splitlines())
    )
    assert signers.load(pem)[0].key == ada


def test_a_public_key_alone_is_a_signer(folder: Path) -> None:
    (found,) = signers.load(folder / "ada.pub")
    assert (found.name, found.key) == ("ada", keys.load_public(folder / "ada.pub"))


@pytest.mark.parametrize(
    "entries, says",
    [
        (["name: Ada, key: ada.pub", "name: Ada, key: grace.pub"], "lists Ada twice"),
        (["name: Ada, key: ada.pub", "name: Eve, key: ada.pub"], "lists the key of Ada for Eve too"),
        (["name: Ada, key: ada"], "Ada: .*holds a private key"),
        (["name: Ada, key: nobody.pub"], "Ada: cannot read"),
        (["name: Ada, key: ssh-ed25519 AAAA"], "the key of Ada is not a public key"),
        (["name: Ada"], "key"),
        (["name: '', key: ada.pub"], "signers"),
        (["name: Ada, key: ada.pub, til: 2027-01-01"], "did you mean until"),
        (["name: Ada, key: ada.pub, until: 2027-02-31"], "not a date"),
        ([], "array"),
    ],
)
def test_signers_that_cannot_be_used_are_one_line(entries: list[str], says: str, folder: Path) -> None:
    with pytest.raises(BadSigners, match=says) as caught:
        listed(folder, *entries)
    assert "signers.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
