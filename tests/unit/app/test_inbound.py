"""What the workers do for incoming mail beside taking it in."""

from datetime import timedelta
from pathlib import Path

from pennypost.app.config.settings import Config
from pennypost.app.figures import Figures
from pennypost.app.inbound import Inbound
from pennypost.mail.judge import JunkSettings
from pennypost.mail.signing import Signer, SigningSettings
from pennypost.model.ids import MessageId
from pennypost.net.resolver import Resolver
from pennypost.net.settings import ResolverSettings
from pennypost.store import directory, greylist
from pennypost.store.settings import StoreSettings
from pennypost.store.store import Store


async def test_what_nobody_came_again_for_is_forgotten_where_nothing_is_learnt(tmp_path: Path) -> None:
    patience = timedelta(microseconds=1)
    junk = JunkSettings(learn=False, greylist=True, greylist_delay=timedelta(0), greylist_patience=patience)
    config = Config(store=StoreSettings(tmp_path), junk=junk)
    store = await Store.open(config.store)
    try:
        await store.write(lambda tx: directory.add_domain(tx, "example.org"))
        account = (await store.write(lambda tx: directory.add_account(tx, "a@example.org"))).id
        await store.write(lambda tx: greylist.hold(tx, account, 1, 1, MessageId(1)))
        inbound = Inbound(config, store, Resolver(ResolverSettings()), Figures(), Signer(store, SigningSettings()))
        assert await inbound.learn()
        assert await store.read(lambda tx: greylist.waiting(tx, account)) == 0
        await inbound.close()
    finally:
        await store.close()
