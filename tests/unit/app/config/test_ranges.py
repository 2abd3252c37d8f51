"""Values that could not work are refused where they are written, with the key and what is expected."""

import pytest

from pennypost.app.config.load import load_config
from pennypost.model.errors import ConfigError


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("limits.connections=0", "limits.connections: expected at least 1, not 0"),
        ("limits.backlog=70000", "limits.backlog: expected 1 to 65535, not 70000"),
        ("tls.handshake_timeout=0 s", 'tls.handshake_timeout: expected more than 0 s, not "0 s"'),
        ("auth.hash_memory=1 KiB", 'auth.hash_memory: expected 8 KiB to 4 GiB, not "1 KiB"'),
        ("auth.hash_passes=0", "auth.hash_passes: expected 1 to 1000, not 0"),
        ("auth.hash_threads=-1", "auth.hash_threads: expected 1 to 256, not -1"),
        ("auth.scram_iterations=0", "auth.scram_iterations: expected 1 to 1000000, not 0"),
        ("auth.account_failures_before_ban=0", "auth.account_failures_before_ban: expected at least 1, not 0"),
        ("store.page_size=5 KiB", 'store.page_size: expected 512 octets, 1, 2, 4, 8, 16, 32 or 64 KiB, not "5 KiB"'),
        ("store.readers=0", "store.readers: expected 1 to 256, not 0"),
        ("store.group_limit=0", "store.group_limit: expected at least 1, not 0"),
        ("store.compression_level=23", "store.compression_level: expected 1 to 22, not 23"),
        ("delivery.max_message_size=0 octets", 'delivery.max_message_size: expected at least 1 octet, not "0 octets"'),
        ("delivery.max_hops=0", "delivery.max_hops: expected at least 1, not 0"),
        ("relay.port=0", "relay.port: expected 1 to 65535, not 0"),
        ("relay.max_time=0 s", 'relay.max_time: expected more than 0 s, not "0 s"'),
        ("relay.timeouts.greeting=0 s", 'relay.timeouts.greeting: expected more than 0 s, not "0 s"'),
        ("relay.pool.messages=0", "relay.pool.messages: expected at least 1, not 0"),
        ("sts.max_age=2000 d", 'sts.max_age: expected 1 s to 365 d 6 h, not "2000 d"'),
        ("queue.lease_time=1 s", 'queue.lease_time: expected at least 5 s, not "1 s"'),
        ("screening.rspamd.scale=-1", "screening.rspamd.scale: expected 0 or more, not -1.0"),
        ("screening.clamav.pause=0 s", 'screening.clamav.pause: expected more than 0 s, not "0 s"'),
        ("defence.tarpit_delay=2 min", 'defence.tarpit_delay: expected at most 1 min, not "2 min"'),
        ("sending.freeze_networks=-1", "sending.freeze_networks: expected 0 or more, not -1"),
        ("junk.greylist_limit=-1", "junk.greylist_limit: expected 0 or more, not -1"),
        ("smtp.greeting_delay=2 min", 'smtp.greeting_delay: expected 0 s to 1 min, not "2 min"'),
        ("imap.message_limit=-1", "imap.message_limit: expected 0 or more, not -1"),
        ("imap.idle_timeout=0 s", 'imap.idle_timeout: expected more than 0 s, not "0 s"'),
        ("pop3.lock_time=1 s", 'pop3.lock_time: expected at least 30 s, not "1 s"'),
        ("http.max_connections=0", "http.max_connections: expected at least 1, not 0"),
        ("dns.cache_entries=-1", "dns.cache_entries: expected 0 or more, not -1"),
        ("dns.resolvers=nonsense", "dns.resolvers: expected an address and a port, as"),
        ("=5", '=5: expected "key=value", as "server.workers=2"'),
        ("server..workers=1", 'server..workers=1: expected "key=value", as "server.workers=2"'),
    ],
)
def test_what_cannot_be(setting: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, [setting])
    assert str(caught.value).startswith(problem)
    assert len(caught.value.problems) == 1
