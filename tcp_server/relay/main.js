// Relay connects each client to another server, and passes on what either of them sends.
//
//	node tcp_server/relay/main.js
'use strict'
const net = require('node:net')
const { parseArgs } = require('node:util')

const { addr, to } = parseArgs({ options: {
  addr: { type: 'string', default: '127.0.0.1:8080' },
  to: { type: 'string', default: '127.0.0.1:8081' }
} }).values
const [listen, target] = [addr, to].map((text) => /^\[?(.*?)\]?:(\d+)$/.exec(text))

// Either side's FIN is to be passed on, and nothing else is to end for it. Node would
// end our half of that connection too: so allowHalfOpen, here and for connect.
const server = net.createServer({ allowHalfOpen: true }, relay)
server.on('error', (err) => {
  console.error(`relay: ${err.message}`)
  process.exitCode = 1
})
server.listen(listen[2], listen[1], () => console.log('listening on', at(server.address().address, server.address().port)))

const open = new Set()
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    for (const socket of open) socket.resetAndDestroy() // with the process's end they would send FIN
    console.log('closed')
    process.exit()
  })
}

function relay (client) {
  const peer = at(client.remoteAddress, client.remotePort)
  const server = net.connect({ port: target[2], host: target[1], allowHalfOpen: true }, () => {
    console.log(peer, 'connected to', at(server.remoteAddress, server.remotePort), 'from', at(server.localAddress, server.localPort))
    server.on('close', closed)
    client.on('close', closed)
  })
  //weave:pipe
  // pipe passes on data and, by end, FIN; it stops reading while the other's queue is full.
  client.pipe(server)
  server.pipe(client)
  for (const [socket, other] of [[client, server], [server, client]]) {
    // It does not pass on errors: after a reset the other side would wait for ever.
    socket.on('error', (err) => {
      console.error(`relay: ${err.message || err.code}`) // one for several addresses has no message
      other.resetAndDestroy()
    })
  }
  //weave:end
  for (const socket of [client, server]) {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  }
  function closed () {
    if (open.has(client) || open.has(server)) return
    console.log(`${peer} closed after ${client.bytesRead} bytes there and ${server.bytesRead} back`)
  }
}

function at (address, port) {
  return /:/.test(address) ? `[${address}]:${port}` : `${address}:${port}`
}
