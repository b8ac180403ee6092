"""The Data Manager API's messages, field by field, as far as conversions of Google Ads need them.

Read from the descriptors of Google's own package google-ads-datamanager 0.9.4 (package google.ads.datamanager.v1);
test_definition.py compares the two where that package is installed. Names are those of the JSON form. A kind is
"string", "bool", "double", "Timestamp", a message's name, or a tuple of an enum's values; "[...]" is a list of it. ``None``
marks what the API knows and nothing here ever sends.
"""

from __future__ import annotations

Kind = str | tuple[str, ...] | None

CONSENT = ("CONSENT_STATUS_UNSPECIFIED", "CONSENT_GRANTED", "CONSENT_DENIED")

MESSAGES: dict[str, dict[str, Kind]] = {
    "IngestEventsRequest": {
        "destinations": "[Destination]", "events": "[Event]", "consent": "Consent", "validateOnly": "bool",
        "encoding": ("ENCODING_UNSPECIFIED", "HEX", "BASE64"), "encryptionInfo": None,
    },
    "Destination": {
        "reference": "string", "loginAccount": "ProductAccount", "linkedAccount": "ProductAccount",
        "operatingAccount": "ProductAccount", "productDestinationId": "string",
    },
    "ProductAccount": {
        "product": None, "accountId": "string",
        "accountType": (
            "ACCOUNT_TYPE_UNSPECIFIED", "GOOGLE_ADS", "DISPLAY_VIDEO_PARTNER", "DISPLAY_VIDEO_ADVERTISER", "DATA_PARTNER",
            "GOOGLE_ANALYTICS_PROPERTY", "GOOGLE_AD_MANAGER_AUDIENCE_LINK", "FLOODLIGHT_CONFIG", "GOOGLE_AD_MANAGER",
        ),
    },
    "Event": {
        "destinationReferences": "[string]", "transactionId": "string", "eventTimestamp": "Timestamp",
        "lastUpdatedTimestamp": "Timestamp", "userData": "UserData", "consent": "Consent",
        "adIdentifiers": "AdIdentifiers", "currency": "string", "conversionValue": "double", "conversionCount": "double",
        "eventSource": ("EVENT_SOURCE_UNSPECIFIED", "WEB", "APP", "IN_STORE", "PHONE", "OTHER", "MESSAGE"),
        "eventDeviceInfo": None, "cartData": None, "customVariables": None, "experimentalFields": None,
        "userProperties": None, "eventName": "string", "clientId": "string", "userId": "string",
        "additionalEventParameters": None, "thirdPartyUserData": None, "eventLocation": None, "appInstanceId": "string",
    },
    "AdIdentifiers": {
        "sessionAttributes": "string", "gclid": "string", "gbraid": "string", "wbraid": "string",
        "landingPageDeviceInfo": None, "mobileDeviceId": "string", "dclid": "string", "impressionId": "string",
        "matchId": "string", "encryptedUserIds": None, "ppid": "string", "visitorPpid": "string",
    },
    "UserData": {"userIdentifiers": "[UserIdentifier]"},
    "UserIdentifier": {"emailAddress": "string", "phoneNumber": "string", "address": None},
    "Consent": {"adUserData": CONSENT, "adPersonalization": CONSENT},
}  # fmt: skip

ONE_OF: dict[str, tuple[str, ...]] = {"UserIdentifier": ("emailAddress", "phoneNumber", "address")}

ANSWERS: dict[str, dict[str, Kind]] = {
    "IngestEventsResponse": {"requestId": "string", "fieldWarnings": "[FieldWarning]"},
    "FieldWarning": {"reason": "WarningReason", "description": "string", "field": "string"},
    "RetrieveRequestStatusResponse": {"requestStatusPerDestination": "[RequestStatusPerDestination]"},
    "RequestStatusPerDestination": {
        "destination": "Destination",
        "requestStatus": ("REQUEST_STATUS_UNKNOWN", "SUCCESS", "PROCESSING", "FAILED", "PARTIAL_SUCCESS"),
        "errorInfo": "ErrorInfo", "warningInfo": "WarningInfo", "eventsIngestionStatus": "IngestEventsStatus",
        "audienceMembersIngestionStatus": None, "audienceMembersRemovalStatus": None,
        "removeAllAudienceMembersStatus": None,
    },
    "IngestEventsStatus": {"recordCount": "int64"},
    "ErrorInfo": {"errorCounts": "[ErrorCount]"},
    "ErrorCount": {"recordCount": "int64", "reason": "ProcessingErrorReason"},
    "WarningInfo": {"warningCounts": "[WarningCount]"},
    "WarningCount": {"recordCount": "int64", "reason": "ProcessingWarningReason"},
}  # fmt: skip
"""What comes back. The long lists of reasons are not written out; an int64 is a string in JSON."""

MOST_EVENTS, MOST_DESTINATIONS, MOST_IDENTIFIERS = 2000, 10, 10
