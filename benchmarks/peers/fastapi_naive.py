"""A WhatsApp webhook as FastAPI tutorials write it: async SQLAlchemy ORM, a session per request."""

import hashlib
import hmac
import os
from datetime import datetime

from fastapi import FastAPI, HTTPException, Request
from sqlalchemy import ForeignKey, func, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

engine = create_async_engine(os.environ["PEER_SQLALCHEMY"])
Session = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Contact(Base):
    __tablename__ = "contact"
    id: Mapped[int] = mapped_column(primary_key=True)
    phone: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]


class Conversation(Base):
    __tablename__ = "conversation"
    id: Mapped[int] = mapped_column(primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    status: Mapped[str] = mapped_column(default="open")
    unread: Mapped[int] = mapped_column(default=0)
    last_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Message(Base):
    __tablename__ = "chat_message"
    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversation.id"))
    provider_id: Mapped[str] = mapped_column(unique=True)
    body: Mapped[str]


@app.post("/webhook")
async def webhook(request: Request):
    body = await request.body()
    expected = "sha256=" + hmac.new(os.environ["PEER_SECRET"].encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, request.headers.get("X-Hub-Signature-256", "")):
        raise HTTPException(403)
    value = (await request.json())["entry"][0]["changes"][0]["value"]
    message = value["messages"][0]
    async with Session() as session, session.begin():
        contact = (
            await session.execute(select(Contact).where(Contact.phone == message["from"]).with_for_update())
        ).scalar_one_or_none()
        if contact is None:
            contact = Contact(phone=message["from"], name=value["contacts"][0]["profile"]["name"])
            session.add(contact)
            await session.flush()
        conversation = (
            (
                await session.execute(
                    select(Conversation).where(Conversation.contact_id == contact.id, Conversation.status == "open")
                )
            )
            .scalars()
            .first()
        )
        if conversation is None:
            conversation = Conversation(contact_id=contact.id)
            session.add(conversation)
            await session.flush()
        if not (await session.execute(select(Message.id).where(Message.provider_id == message["id"]))).first():
            session.add(
                Message(conversation_id=conversation.id, provider_id=message["id"], body=message["text"]["body"])
            )
            conversation.unread = Conversation.unread + 1
            conversation.last_at = func.now()
    return {"status": "ok"}
