"""In which language a text is, by its letters and its most frequent words."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pennypost.junk.language import LOOKED_AT, described, language

TEXTS = {
    "english": "Thank you for the letter that you sent. We have read it and will be in touch with your office as soon "
    "as our board has met. It is not yet decided.",
    "german": "Vielen Dank für den Brief, den du geschickt hast. Wir haben ihn gelesen und werden uns bei dir melden, "
    "wenn der Vorstand sich getroffen hat. Das ist noch nicht entschieden.",
    "dutch": "Bedankt voor de brief die je hebt gestuurd. Wij hebben het gelezen en nemen contact met je op als het "
    "bestuur bij elkaar is geweest. Het is nog niet zeker, maar het kan ook later zijn.",
    "french": "Merci pour la lettre que vous avez envoyée. Nous avons lu votre texte avec intérêt et nous reviendrons "
    "vers vous dans les jours qui viennent. Ce n'est pas encore décidé.",
    "spanish": "Gracias por la carta que nos envió. La hemos leído con mucho interés y nos pondremos en contacto con "
    "usted en cuanto se reúna el consejo. No es seguro, pero los planes son para el año que viene.",
    "portuguese": "Obrigado por enviar a carta. Nós lemos o texto com muito interesse e entraremos em contato com "
    "você. Ainda não é certo, mas os planos são para o ano que vem, em uma nova sede do grupo.",
    "italian": "Grazie per la lettera che ci hai mandato. Abbiamo letto il testo con molto interesse e ti faremo "
    "sapere non appena si riunisce il consiglio. Non è deciso, ma i piani sono per il prossimo anno, anche della sede.",
    "romanian": "Mulțumim pentru scrisoarea pe care ai trimis-o. Am citit cu mult interes și vom reveni după ce se "
    "întâlnește consiliul. Nu este sigur, dar planurile sunt din anul care vine, în noua clădire.",
    "swedish": "Tack för brevet som du skickade. Vi har läst det med stort intresse och hör av oss när styrelsen har "
    "haft möte. Det är inte bestämt om vi kan göra det till våren.",
    "danish or norwegian": "Tak for brevet som du sendte. Vi har læst det med stor interesse og vender tilbage når "
    "styret har møde. Det er ikke besluttet om vi kan gøre det til foråret.",
    "polish": "Dziękujemy za list. Nie jest to jeszcze pewne, ale zarząd spotka się na początku roku i wtedy da znać. "
    "Plany są już gotowe, do zobaczenia po świętach oraz od nowego roku.",
    "czech": "Děkujeme za dopis, který jsem dostal. Není to ještě jisté, ale rada se sejde na začátku roku a pak se "
    "ozveme. Plány jsou hotové, je to pro nás důležité, jako vždy v tomto roce.",
    "turkish": "Mektup için çok teşekkürler. Bu bir karar değil ama kurul daha sonra toplanacak ve seninle görüşecek. "
    "Yeni bina ile ilgili her plan var.",
    "indonesian": "Terima kasih untuk surat yang anda kirim. Kami sudah membaca dengan penuh minat. Ini tidak pasti, "
    "dan rencana itu adalah untuk tahun depan dari kantor kami.",
    "cyrillic": "Спасибо за письмо, которое вы прислали на прошлой неделе.",
    "greek": "Ευχαριστώ για το γράμμα που έστειλες την περασμένη εβδομάδα.",
    "hebrew": "תודה על המכתב ששלחת בשבוע שעבר.",
    "arabic": "شكرا لك على الرسالة التي أرسلتها الأسبوع الماضي.",
    "indic": "पिछले सप्ताह भेजे गए पत्र के लिए धन्यवाद।",
    "thai": "ขอบคุณสำหรับจดหมายที่คุณส่งมาเมื่อสัปดาห์ที่แล้ว",
    "chinese": "「亲爱的安娜」，感谢您上周寄来的信。我们已经怀着极大的兴趣阅读了它，董事会开会后会尽快与您联系。",
    "japanese": "先週お送りいただいたお手紙をありがとうございました。大変興味深く拝見いたしました。",
    "korean": "지난주에 보내주신 편지에 감사드립니다. 큰 관심을 가지고 읽었습니다.",
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_language_is_known_by_its_words_or_letters(name: str) -> None:
    assert language(TEXTS[name]) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "See you at noon?",
        "the the the the the the",
        "Приве́т",
        TEXTS["english"] + " " + TEXTS["german"],
        "x" * LOOKED_AT + TEXTS["german"],
        "\U0001f600" * 100,
        "\ud800" * 100,
    ],
    ids=["empty", "short", "one word", "a name", "two languages", "too far", "faces", "no text at all"],
)
def test_of_other_texts_nothing_is_said(text: str) -> None:
    assert language(text) == ""


def test_a_foreign_name_makes_no_other_language() -> None:
    assert language("安娜 Анна " + TEXTS["english"]) == "english"


def test_how_it_is_called() -> None:
    assert described("german") == "in German"
    assert described("danish or norwegian") == "in Danish or Norwegian"
    assert described("cyrillic") == "in Cyrillic letters"


@given(st.text(alphabet=st.characters(), max_size=2000))
def test_any_text_has_a_known_language_or_none(text: str) -> None:
    assert language(text) in {"", *TEXTS}


def test_a_long_text_costs_no_more_than_a_short_one() -> None:
    begun = time.process_time()
    for text in ("a " * 10_000_000, "ф" * 10_000_000):
        for _ in range(100):
            language(text)
    assert time.process_time() - begun < 1
