"""Machines are called by their names; people in odd browsers are not machines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opsmantik.ingest.bots import NO_USER_AGENT, UNNAMED, bot_name

GECKO = "AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"

DESKTOP = f"Mozilla/5.0 (X11; Linux x86_64) {GECKO}"
ANDROID = (
    f"Mozilla/5.0 (Linux; Android 13; SM-S918B; wv) {GECKO} Version/4.0 Chrome/131.0.0.0 Mobile Safari/537.36"
)

MACHINES = {
    f"{DESKTOP} HeadlessChrome/131.0.0.0 Safari/537.36": "HeadlessChrome",
    "python-requests/2.32.3": "python-requests",
    "Python-urllib/3.11": "Python-urllib",
    "curl/8.5.0": "curl",
    "Wget/1.21.4": "Wget",
    "Go-http-client/2.0": "Go-http-client",
    "okhttp/4.12.0": "okhttp",
    "axios/1.7.7": "axios",
    "node": "node",
    "PostmanRuntime/7.42.0": "PostmanRuntime",
    "k6/0.54.0 (https://k6.io/)": "k6",
    "WhatsApp/2.23.20.0 A": "WhatsApp",
    "WhatsApp/2.2413.1 N": "WhatsApp",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)": "facebookexternalhit",
    "meta-externalagent/1.1 (+https://developers.facebook.com/docs/crawler)": "meta-externalagent",
    "TelegramBot (like TwitterBot)": "TelegramBot",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)": "Slackbot-LinkExpanding",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)": "LinkedInBot",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)": "Discordbot",
    "Mozilla/5.0 (Windows NT 6.1) SkypeUriPreview Preview/0.5": "SkypeUriPreview",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "Googlebot",
    f"{ANDROID} (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "Googlebot",
    "AdsBot-Google (+http://www.google.com/adsbot.html)": "AdsBot-Google",
    f"{IPHONE} Version/14.7 Mobile/15E148 Safari/604.1 (compatible; AdsBot-Google-Mobile; "
    "+http://www.google.com/mobile/adsbot.html)": "AdsBot-Google-Mobile",
    "Mozilla/5.0 (compatible; Google-InspectionTool/1.0;)": "Google-InspectionTool",
    "Mediapartners-Google": "Mediapartners-Google",
    f"{DESKTOP} Chrome/131.0.0.0 Safari/537.36 Chrome-Lighthouse": "Chrome-Lighthouse",
    f"Mozilla/5.0 {GECKO}; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/131": "bingbot",
    "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)": "YandexBot",
    "Mozilla/5.0 (compatible; YandexMetrika/2.0; +http://yandex.com/bots)": "YandexMetrika",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)": "AhrefsBot",
    "Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)": "SemrushBot",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)": "Baiduspider",
    f"Mozilla/5.0 {GECKO}; compatible; Some-User/1.0; +robots@some.example)": "Some-User",
    f"Mozilla/5.0 {GECKO}; compatible; Some Fetch/1.0; +https://some.example/about)": "Some Fetch",
    "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)": "UptimeRobot",
    "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)": "Pingdom",
    f"{DESKTOP} Chrome/131.0.0.0 Safari/537.36 DatadogSynthetics": "DatadogSynthetics",
    "kube-probe/1.31": "kube-probe",
    "SomeApp/3.2": "SomeApp",
    "+https://some.example": UNNAMED,
    "": NO_USER_AGENT,
    "   ": NO_USER_AGENT,
    "-": NO_USER_AGENT,
}


@pytest.mark.parametrize(("ua", "name"), MACHINES.items())
def test_a_machine_is_called_by_its_name(ua, name):
    assert bot_name(ua) == name


PEOPLE = {
    "Chrome": f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {GECKO} Chrome/131.0.0.0 Safari/537.36",
    "Safari": f"{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1",
    "Firefox": "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Facebook's browser": f"{IPHONE} Mobile/21F90 [FBAN/FBIOS;FBAV/466.0.0.38.106;FBDV/iPhone14,5;FBSN/iOS]",
    "Facebook's browser on Android": f"{ANDROID} [FB_IAB/FB4A;FBAV/490.0.0.63.82;]",
    "Instagram's browser": f"{ANDROID} Instagram 280.0.0.18.114 Android (33/13; 480dpi; samsung; SM-S918B)",
    "WhatsApp's browser": f"{ANDROID} WhatsApp/2.24.20.89",
    "TikTok's browser": f"{IPHONE} Mobile/15E148 musical_ly_36.4.0 JsSdk/2.0 BytedanceWebview/d8a21c6",
    "Snapchat's browser": f"{IPHONE} Version/17.5 Mobile/15E148 Safari/604.1 Snapchat/13.10.0.38",
    "Pinterest's browser": f"{IPHONE} Mobile/15E148 [Pinterest/iOS]",
    "LinkedIn's browser": f"{IPHONE} Mobile/21F90 [LinkedInApp]/9.30.4310",
    "Google's app": f"{IPHONE} GSA/300.0.598994205 Mobile/15E148 Safari/604.1",
    "Yandex's browser": f"Mozilla/5.0 (Windows NT 10.0) {GECKO} Chrome/130.0.0.0 YaBrowser/24.12.0",
    "Cubot, a telephone": f"Mozilla/5.0 (Linux; Android 13; CUBOT X18 Build/x) {GECKO} Chrome/131.0.0.0",
    "Opera Mini": "Opera/9.80 (Android; Opera Mini/36.2.2254/119.132; U; id) Presto/2.12.423 Version/12.16",
    "Google's television": f"Mozilla/5.0 (Linux; Android 12; Google-TV) {GECKO} Chrome/131.0.0.0",
    "old Internet Explorer": "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1; WOW64; Trident/5.0)",
    "DuckDuckGo's browser": f"{IPHONE} Version/17.5 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15",
    "Electron": f"Mozilla/5.0 (Windows NT 10.0) {GECKO} Slack/4.41 Chrome/130.0.0.0 Electron/33.0.1",
}


@pytest.mark.parametrize("ua", PEOPLE.values(), ids=PEOPLE.keys())
def test_a_person_is_no_machine(ua):
    assert bot_name(ua) is None


@given(st.text())
def test_no_text_raises_and_a_name_is_never_empty_or_long(text):
    name = bot_name(text)
    assert name is None or 0 < len(name) <= 48
