"""Secrets that must be usable again, sealed by keys of the settings: whoever reads the database alone has none."""

from app.kit.problems import Problem, Text
from app.settings import Settings, words


class NoSecretsKey(Problem):
    status = 503
    code = "no_secrets_key"
    title = Text("Webhook belum disiapkan", "Webhooks are not set up")
    detail = Text(
        "Operator layanan ini belum menyetel RATA_SECRETS_KEY, sehingga rahasia webhook tidak dapat disimpan.",
        "The operator of this service has not set RATA_SECRETS_KEY, so secrets of webhooks cannot be kept.",
    )


class Sealer:
    """Seals with the first key and opens with any, so that a key can be changed while the service runs."""

    def __init__(self, keys: list[str]) -> None:
        from cryptography.fernet import Fernet, MultiFernet

        self._keys = MultiFernet([Fernet(key) for key in keys])

    def seal(self, secret: bytes) -> str:
        return self._keys.encrypt(secret).decode()

    def opened(self, sealed: str) -> bytes | None:
        """Return the secret. Returns None if it was sealed by a key that is not here any more."""
        from cryptography.fernet import InvalidToken

        try:
            return self._keys.decrypt(sealed)
        except InvalidToken:
            return None


def sealer_of(settings: Settings) -> Sealer:
    """NoSecretsKey (503): the settings have no key."""
    if settings.secrets_key is None:
        raise NoSecretsKey()
    return Sealer(words(settings.secrets_key))
