"""The two businesses of the demo: a crane and tow-truck rental in Istanbul, a dental clinic in London.

Both are invented. Their domains end in ``.example`` (reserved by RFC 2606), the British numbers are from the
range that Ofcom keeps for drama, the Turkish ones from a block that nobody has.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

import msgspec

from opsmantik.sessions.place import Place


class Page(msgspec.Struct, frozen=True):
    """One page of a business's site; ``weight`` is how often it is looked at, against the others."""

    path: str
    title: str
    weight: float


class AdCampaign(msgspec.Struct, frozen=True):
    """One Google Ads campaign, as its tracking template writes it into the landing address."""

    name: str
    path: str
    keywords: tuple[str, ...]
    weight: float


class Business(msgspec.Struct, frozen=True, kw_only=True):
    """What makes one demo site different from the other."""

    slug: str
    # Fixed and in the form that every tracker accepts: a public id is no secret, it stands in the page.
    public_id: str
    name: str
    domain: str
    time_zone: str
    region: str
    currency: str
    language: str
    google: str
    phone: str
    whatsapp: str
    form: str
    pages: tuple[Page, ...]
    campaigns: tuple[AdCampaign, ...]
    places: tuple[tuple[float, Place], ...]
    referrals: tuple[str, ...]
    # sessions a day: least, usual, most; then how the days of a week (Monday first) and the hours differ
    daily: tuple[int, int, int]
    weekdays: tuple[float, ...]
    hours: tuple[float, ...]
    # where visits come from (the names are those of entries.ENTRIES), as weights
    entries: tuple[tuple[str, float], ...]
    channels: tuple[tuple[str, float], ...]
    lead_factor: float
    first_generation: float
    asks_consent: bool

    @property
    def origin(self) -> str:
        """What a browser on the business's own site writes in Origin."""
        return f"https://{self.domain}"


def _istanbul(district: str) -> Place:
    return Place("TR", "Istanbul", "Istanbul", district, "demo")


def _london(district: str | None) -> Place:
    return Place("GB", "England", "London", district, "demo")


CRANES: Final = Business(
    slug="vinc",
    public_id="b7c1f0a29d3e4c58a1460d92e7f3581c",
    name="Kaldırgaç Vinç ve Çekici",
    domain="vinc.example",
    time_zone="Europe/Istanbul",
    region="TR",
    currency="TRY",
    language="tr-TR",
    google="https://www.google.com.tr/",
    phone="tel:+905000000012",
    whatsapp="https://wa.me/905000000012",
    form="geri-arama",
    pages=(
        Page("/", "Kaldırgaç Vinç ve Çekici | 7/24 İstanbul", 10),
        Page("/vinc-kiralama", "Vinç Kiralama | Kaldırgaç", 8),
        Page("/sepetli-vinc", "Sepetli Vinç | Kaldırgaç", 5),
        Page("/oto-cekici", "Oto Çekici ve Yol Yardım | Kaldırgaç", 7),
        Page("/fiyatlar", "Fiyatlar | Kaldırgaç", 6),
        Page("/bolgeler/umraniye", "Ümraniye Vinç Kiralama | Kaldırgaç", 2),
        Page("/iletisim", "İletişim | Kaldırgaç", 5),
    ),
    campaigns=(
        AdCampaign(
            "ist-vinc-kiralama", "/vinc-kiralama",
            ("kiralık vinç", "vinç kiralama istanbul", "vinç kiralama fiyatları", "mobil vinç kiralama",
             "kiralık vinç anadolu yakası", "hiap vinç kiralama", "saatlik vinç kiralama"), 5,
        ),
        AdCampaign(
            "ist-sepetli", "/sepetli-vinc",
            ("sepetli vinç kiralama", "sepetli platform kiralık", "cam silme vinci", "manlift kiralama"), 2,
        ),
        AdCampaign(
            "ist-cekici-acil", "/oto-cekici",
            ("oto çekici", "en yakın çekici", "7/24 çekici istanbul", "yol yardım ümraniye", "çekici çağır",
             "oto kurtarma", "tem çekici"), 4,
        ),
        AdCampaign("marka", "/", ("kaldırgaç vinç", "kaldırgaç çekici telefon"), 1),
    ),
    places=(
        (14, _istanbul("Ümraniye")), (10, _istanbul("Kadıköy")), (9, _istanbul("Pendik")),
        (9, _istanbul("Esenyurt")), (8, _istanbul("Ataşehir")), (7, _istanbul("Üsküdar")),
        (7, _istanbul("Tuzla")), (6, _istanbul("Başakşehir")), (6, _istanbul("Beylikdüzü")),
        (5, _istanbul("Kartal")), (4, _istanbul("Şişli")), (7, Place("TR", "Kocaeli", "Gebze", None, "demo")),
        (2, Place("TR", "Bursa", "Bursa", None, "demo")), (2, Place("TR", "Ankara", "Ankara", None, "demo")),
        (1, Place("DE", "Berlin", "Berlin", None, "demo")), (3, Place("TR", None, None, None, "demo")),
    ),
    referrals=("https://insaat-rehberi.example/vinc-firmalari", "https://sanayi-ilan.example/istanbul/vinc"),
    daily=(120, 190, 250),
    weekdays=(1.05, 1.08, 1.06, 1.04, 1.0, 0.86, 0.66),
    hours=(2, 1.5, 1, 1, 1, 1.5, 3, 6, 9, 10, 10, 9.5, 9, 9, 9.5, 9.5, 9, 8, 7, 6, 5, 4.5, 4, 3),
    entries=(
        ("google_ad", 33), ("google_ad_app", 8), ("performance_max", 6), ("display_ad", 2), ("search", 20),
        ("maps", 7), ("direct", 10), ("instagram", 3), ("facebook_ad", 4), ("referral", 3), ("assistant", 2),
        ("yandex", 1.5), ("microsoft_ad", 0.5),
    ),
    channels=(("phone_call", 62), ("whatsapp", 32), ("form_submit", 6)),
    lead_factor=1.0,
    first_generation=0.15,
    asks_consent=False,
)  # fmt: skip

CLINIC: Final = Business(
    slug="clinic",
    public_id="4f0e8d6b21a74b3f9c55e1a07d92b6f4",
    name="Quillfeather Dental",
    domain="clinic.example",
    time_zone="Europe/London",
    region="GB",
    currency="GBP",
    language="en-GB",
    google="https://www.google.co.uk/",
    phone="tel:+442079460123",
    whatsapp="https://wa.me/447700900123",
    form="call-back",
    pages=(
        Page("/", "Quillfeather Dental | Dentist in Islington", 10),
        Page("/emergency-dentist", "Emergency Dentist, Same Day | Quillfeather", 7),
        Page("/dental-implants", "Dental Implants | Quillfeather", 6),
        Page("/clear-aligners", "Clear Aligners | Quillfeather", 6),
        Page("/teeth-whitening", "Teeth Whitening | Quillfeather", 4),
        Page("/fees", "Fees | Quillfeather", 7),
        Page("/team", "Our Team | Quillfeather", 3),
        Page("/contact", "Contact and Opening Hours | Quillfeather", 5),
    ),
    campaigns=(
        AdCampaign(
            "ldn-emergency", "/emergency-dentist",
            ("emergency dentist london", "dentist open saturday", "same day dentist islington",
             "toothache now", "broken tooth repair near me"), 5,
        ),
        AdCampaign(
            "ldn-implants", "/dental-implants",
            ("dental implants london", "dental implant cost", "single tooth implant",
             "all on four london"), 3,
        ),
        AdCampaign(
            "ldn-aligners", "/clear-aligners",
            ("clear aligners london", "adult braces cost", "invisible braces near me",
             "teeth straightening"), 3,
        ),
        AdCampaign("brand", "/", ("quillfeather dental", "quillfeather dentist phone number"), 1),
    ),
    places=(
        (20, _london("Islington")), (11, _london("Camden")), (10, _london("Hackney")),
        (6, _london("Haringey")), (5, _london("Westminster")), (5, _london("Southwark")), (8, _london(None)),
        (3, Place("GB", "England", "Watford", None, "demo")),
        (2, Place("GB", "England", "Reading", None, "demo")),
        (1, Place("IE", "Leinster", "Dublin", None, "demo")), (2, Place("GB", None, None, None, "demo")),
    ),
    referrals=("https://best-dentists.example/london/islington", "https://n1-life.example/health/dentists"),
    daily=(60, 92, 120),
    weekdays=(1.2, 1.1, 1.05, 1.0, 0.95, 0.78, 0.74),
    hours=(1, 0.5, 0.3, 0.2, 0.2, 0.4, 1.5, 4, 7, 8.5, 9, 9, 9.5, 9, 8, 7.5, 7, 7, 7, 7.5, 8, 7, 5, 2.5),
    entries=(
        ("google_ad", 24), ("google_ad_app", 9), ("performance_max", 5), ("search", 24), ("maps", 9),
        ("direct", 9), ("instagram", 5), ("facebook_ad", 5), ("newsletter", 3), ("referral", 3),
        ("assistant", 3), ("microsoft_ad", 1.5),
    ),
    channels=(("phone_call", 48), ("whatsapp", 18), ("form_submit", 34)),
    lead_factor=1.15,
    first_generation=0.0,
    asks_consent=True,
)  # fmt: skip

BUSINESSES: Final = MappingProxyType({business.slug: business for business in (CRANES, CLINIC)})
"""Both, by slug: the word that stands in their addresses, ``/demo/<slug>``."""
