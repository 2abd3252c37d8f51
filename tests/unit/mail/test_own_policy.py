from datetime import timedelta

from pennypost.mail.own_policy import StsSettings, own_policy, own_policy_record, policy_of
from pennypost.verify.mta_sts import StsMode, parse_policy, record_id


def test_what_we_publish_can_be_read() -> None:
    """RFC 8461 §3.1, §3.2."""
    settings = StsSettings(mode="enforce", max_age=timedelta(days=1))
    assert parse_policy(own_policy(settings, "MX.one.example")) == policy_of(settings, "mx.one.example")
    assert policy_of(settings, "mx.one.example").allows("mx.one.example")
    record = own_policy_record(settings, "mx.one.example")
    assert record_id([record.encode()]) is not None
    assert record != own_policy_record(StsSettings(mode="testing"), "mx.one.example")
    assert policy_of(StsSettings(mx=("*.one.example",)), "h").mx == ("*.one.example",)
    assert policy_of(StsSettings(), "h").mode is StsMode.TESTING
