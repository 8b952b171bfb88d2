// Subscribes with the browser's client, tells each thing that happens as a line of JSON, and leaves after the
// given number of messages. Arguments: URL (ws: for a WebSocket, http: for SockJS), destination, number of messages.
"use strict";

const { Client } = require("@stomp/stompjs");
const SockJS = require("sockjs-client");
const { WebSocket } = require("ws");

const [url, destination, count] = process.argv.slice(2);
const tell = (event) => console.log(JSON.stringify(event));
let received = 0;

const client = new Client({
  webSocketFactory: () =>
    url.startsWith("http") ? new SockJS(url) : new WebSocket(url, client.stompVersions.protocolVersions()),
  reconnectDelay: 0,
  onConnect: (frame) => {
    tell({ connected: frame.headers, subprotocol: client.webSocket.protocol, transport: client.webSocket.transport });
    client.subscribe(destination, async (message) => {
      tell({ body: message.body, headers: message.headers });
      received += 1;
      if (received === Number(count)) {
        await client.deactivate();
        tell({ left: true });
      }
    });
  },
  onStompError: (frame) => tell({ error: frame.headers.message }),
  onWebSocketError: (event) => tell({ error: String(event.message) }),
});
client.activate();
