"""What the phone says, in the reader's language. The page hands it to the scripts as JSON."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _


def words() -> dict[str, Any]:
    """Sentences by the names the scripts use; ``%s`` is filled in there."""
    return {
        "today": _("Today"),
        "yesterday": _("Yesterday"),
        "typing": _("typing…"),
        "you": _("You"),
        "newCustomer": _("New customer"),
        "away": _("The server is away. Trying again…"),
        "notReceived": _("Failed: it never reached this phone."),
        "notSent": _("Not sent. Press to send it again."),
        "empty": _("The message is empty."),
        "chooseAnother": _("Choose another file."),
        "noMicrophone": _("The microphone cannot be used. Allow it in the browser, or attach an audio file."),
        "recording": _("Recording… press again to send"),
        "sendRecording": _("Send the recording"),
        "record": _("Record a voice message"),
        "replyTo": _("Reply"),
        "react": _("React with %s"),
        "copy": _("Copy"),
        "more": _("What to do with this message"),
        "failed": _("failed"),
        "sending": _("sending"),
        "delivered": _("delivered"),
        "read": _("read"),
        "sent": _("sent"),
        "document": _("Document"),
        "image": _("Photo"),
        "audio": _("Voice message"),
        "video": _("Video"),
        "sticker": _("Sticker"),
        "location": _("Location"),
        "contacts": _("Contact"),
        "template": _("Template"),
        "reaction": _("Reaction"),
        "gone": _("This file is no longer here."),
        "unread": _("%s unread"),
        "quoted": _("An earlier message"),
        "choose": _("Choose"),
        "greeting": _("Say something to %s"),
        "whatsapp_cloud": "Meta",
        "twilio": "Twilio",
        "rest": _("JSON API"),
        "suggestions": [
            _("Hi! What are your opening hours?"),
            _("How long does delivery take?"),
            _("I would like to exchange a product."),
            _("I want to talk to a person."),
        ],
        "emoji": _("Emoji"),
        "rules": {
            "late": _("Answers late"),
            "rate_limited": _("Answers 429: too fast"),
            "broken": _("Answers 500: broken"),
            "drop": _("Accepts the message, then drops the connection"),
            "silent": _("Accepts the message, then never says what became of it"),
            "undelivered": _("Accepts the message, then reports that it failed"),
            "duplicate": _("Posts every webhook twice"),
            "out_of_order": _("Posts webhooks in the wrong order"),
        },
        "timesLeft": _("%s more times"),
        "onceMore": _("once more"),
        "untilCleared": _("until you stop it"),
        "behaves": _("The providers behave."),
        "real": _("connected to the real provider"),
        "nameOrPhone": _("Give a phone with country code (8 to 15 digits) or a user name."),
    }
